import re
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.integration.servers import free_port, wait_until

Answer = Callable[[str], str | None]


class Mailbox:
    """A mail server that keeps what it gets; `answer` may refuse an address with an SMTP reply."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.answer: Answer = lambda address: None
        self.asked: list[str] = []
        # The mail server's other end of each connection that brought a mail.
        self.peers: list[object] = []
        self.most = 1_000_000
        # As most servers have it: commands may come together.
        self.pipelining = True
        self.port = free_port()
        self.start()

    def start(self) -> None:
        self.controller = Controller(self, "127.0.0.1", self.port, enable_SMTPUTF8=True)
        self.controller.start()

    def stop(self) -> None:
        self.controller.stop()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_EHLO(  # noqa: N802 - aiosmtpd looks for that name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], *["250-PIPELINING"] * self.pipelining, responses[-1]]

    async def handle_MAIL(  # noqa: N802 - aiosmtpd looks for that name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.peers.count(session.peer) >= self.most:
            return "421 4.7.0 too many mails over this connection"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd looks for that name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.asked.append(address)
        refusal = self.answer(address)
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd looks for that name
        self.envelopes.append(envelope)
        self.peers.append(session.peer)
        return "250 2.0.0 queued"

    def to(self, address: str) -> list[EmailMessage]:
        found = [envelope for envelope in self.envelopes if address in envelope.rcpt_tos]
        return [parsed(envelope) for envelope in found]

    def wait_for(self, address: str, subject: str, seconds: float = 60) -> EmailMessage:
        def arrived() -> list[EmailMessage]:
            return [message for message in self.to(address) if message["Subject"] == subject]

        wait_until(arrived, f"“{subject}” arrives at {address}", seconds)
        return arrived()[-1]


def parsed(envelope: Envelope) -> EmailMessage:
    content = envelope.content
    assert isinstance(content, bytes)
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def link(message: EmailMessage) -> str:
    """The path of the link in a mail's text part."""
    found = re.search(r"https?://[^/]+(/\S+)", part(message, "plain"))
    assert found is not None
    return found[1]
