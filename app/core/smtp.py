import logging
import smtplib
from collections.abc import Sequence
from copy import copy
from email import message_from_bytes, policy
from typing import Any, cast

from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend as DjangoBackend
from django.core.mail.message import sanitize_address
from django.utils.encoding import punycode

log = logging.getLogger(__name__)
ACCEPTED = 250


class Telling:
    """Logs what the mail server answers about a mail: `sendmail` keeps it to itself."""

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        code, answer = super().rcpt(recip, options)  # type: ignore[misc]
        if code != ACCEPTED:
            tell(code, answer)
        return code, answer

    def data(self, msg: Any) -> tuple[int, bytes]:
        code, answer = super().data(msg)  # type: ignore[misc]
        tell(code, answer)
        return code, answer


def tell(code: int, answer: bytes) -> None:
    level = logging.INFO if code == ACCEPTED else logging.WARNING
    log.log(level, "The mail server answered %s %s", code, answer.decode(errors="replace"))


class PlainConnection(Telling, smtplib.SMTP):
    pass


class TLSConnection(Telling, smtplib.SMTP_SSL):
    pass


class EmailBackend(DjangoBackend):
    """Django's, and besides: addresses with non-ASCII local parts, and no failure after the mail was accepted."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return TLSConnection if self.use_ssl else PlainConnection

    def _send(self, email_message: EmailMessage) -> bool:
        recipients = email_message.recipients()
        if all(address.rpartition("@")[0].isascii() for address in recipients):
            return bool(super()._send(email_message))  # type: ignore[misc]
        self.send_international(email_message, [with_ascii_domain(address) for address in recipients])
        return True

    def send_international(self, email_message: EmailMessage, recipients: list[str]) -> None:
        # Django encodes such a local part as an encoded word, which is another address to every mail server,
        # and fails when it is long.
        nameless = copy(email_message)
        nameless.to = []
        message = message_from_bytes(nameless.message().as_bytes(), policy=policy.SMTPUTF8)
        message["To"] = ", ".join(recipients)
        sender = sanitize_address(email_message.from_email, "utf-8")
        cast(smtplib.SMTP, self.connection).send_message(message, sender, recipients)

    def _close_connection(self, connection: smtplib.SMTP) -> None:
        """Take leave. A server that does not answer QUIT has the mail all the same: it must not be sent again."""
        try:
            connection.quit()
        except OSError:
            connection.close()


def with_ascii_domain(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}@{punycode(domain)}"
