"""Connections to mail servers: smtplib's, which ask once for all that a mail needs, and log what is answered."""

import logging
import re
import smtplib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)
ACCEPTED = 250
# The other answer to a recipient who is taken: the server passes the mail on.
TAKEN = {ACCEPTED, 251}
GO_ON = 354
# From here on a reply is a refusal, for now or for good.
REFUSED = 400
LEAVING = 421
# Recipients whose replies surely have room on their way while nobody reads them.
TOGETHER = 100
Answer = tuple[int, bytes]


class Connection(smtplib.SMTP):
    """Where the server offers PIPELINING (RFC 2920), a mail takes two round trips in place of four or more.

    `mail` and `rcpt` hold their commands then and take them for accepted, until `data` sends them all.
    """

    mails = 0
    # Of the present mail: whether the server may have it, and whether it has said so.
    handed_over = accepted = False
    held: list[str] | None = None
    sender = ""
    recipients: Sequence[str] = ()
    # Who is not taken, and why, where the others are.
    refused: dict[str, Answer]

    def sendmail(
        self,
        from_addr: str,
        to_addrs: str | Sequence[str],
        msg: Any,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> Any:
        self.handed_over = self.accepted = False
        self.ehlo_or_helo_if_needed()
        self.sender, self.recipients = from_addr, [to_addrs] if isinstance(to_addrs, str) else to_addrs
        self.refused = {}
        self.held = [] if self.has_extn("pipelining") and len(self.recipients) <= TOGETHER else None
        try:
            return super().sendmail(from_addr, to_addrs, msg, mail_options, rcpt_options) | self.refused
        finally:
            self.held = None

    def send(self, s: Any) -> None:
        if self.held is None:
            super().send(s)
        else:
            self.held.append(s)

    def getreply(self) -> Answer:
        return super().getreply() if self.held is None else (ACCEPTED, b"")

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> Answer:
        answer = super().rcpt(recip, options)
        if answer[0] not in TAKEN:
            tell(answer)
        return answer

    def data(self, msg: Any) -> Answer:
        self.mails += 1
        if self.held is None:
            self.handed_over = True
            answer = super().data(msg)
        else:
            self.ask()
            self.handed_over = True
            self.send(quoted(msg))
            answer = self.getreply()
        self.accepted = answer[0] == ACCEPTED
        tell(answer)
        return answer

    def ask(self) -> None:
        """Send what is held, and DATA. Raises for a refusal what `sendmail` raises."""
        self.putcmd("data")
        commands, self.held = self.held or [], None
        self.send("".join(commands))
        sender, *recipients, go_on = self.replies(len(commands))
        error: smtplib.SMTPException
        if sender[0] != ACCEPTED:
            error = smtplib.SMTPSenderRefused(*sender, self.sender)
        else:
            told = list(zip(self.recipients, recipients, strict=True))
            self.refused = {recipient: reply for recipient, reply in told if reply[0] not in TAKEN}
            for reply in self.refused.values():
                tell(reply)
            if LEAVING in {code for code, _ in recipients} or not TAKEN & {code for code, _ in recipients}:
                error = smtplib.SMTPRecipientsRefused(self.refused)
            elif go_on[0] != GO_ON:
                error = smtplib.SMTPDataError(*go_on)
            else:
                return
        self.start_over(recipients, go_on)
        raise error

    def replies(self, count: int) -> list[Answer]:
        """One to each command; a server that takes its leave says no more."""
        found: list[Answer] = []
        while len(found) < count:
            found.append(self.getreply())
            if found[-1][0] == LEAVING:
                self.close()
                found += [found[-1]] * (count - len(found))
        return found

    def start_over(self, recipients: list[Answer], go_on: Answer) -> None:
        """A server that waits for a mail has to get an empty one, which is nobody's only where all were refused."""
        if go_on[0] == GO_ON and any(code < REFUSED for code, _ in recipients):
            # What is not ended is not delivered.
            self.close()
            return
        with suppress(smtplib.SMTPServerDisconnected):
            if go_on[0] == GO_ON:
                self.send(quoted(b""))
                self.getreply()
            self.rset()


class TLSConnection(Connection, smtplib.SMTP_SSL):
    pass


def quoted(message: bytes) -> bytes:
    """As it goes over the wire: a line with nothing but a dot would end it."""
    lines = re.sub(rb"(?m)^\.", b"..", message)
    return lines + (b".\r\n" if not lines or lines.endswith(b"\r\n") else b"\r\n.\r\n")


def tell(answer: Answer) -> None:
    code, text = answer
    level = logging.INFO if code == ACCEPTED else logging.WARNING
    log.log(level, "The mail server answered %s %s", code, text.decode(errors="replace"))
