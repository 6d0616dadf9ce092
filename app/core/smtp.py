import re
import smtplib
from contextlib import nullcontext, suppress
from copy import copy
from email import message_from_bytes, policy
from functools import lru_cache
from typing import Any, cast

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend as DjangoBackend
from django.core.mail.message import sanitize_address
from django.utils.encoding import punycode

from core.connections import Connection, TLSConnection
from core.kept import Kept

# Letters, digits and the like with single dots between, which is what most people have.
PLAIN = re.compile(r"[\w+-]+(\.[\w+-]+)*@[\w-]+(\.[\w-]+)*", re.ASCII)
# From here on a reply is a refusal for good.
FINAL = 500
kept = Kept()


class EmailBackend(DjangoBackend):
    """Django's, and besides: kept connections, addresses with non-ASCII local parts, no failure of accepted mails."""

    connection: Any
    # Whether another mail went over the connection before.
    reused = False

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return TLSConnection if self.use_ssl else Connection

    @property
    def server(self) -> tuple[object, ...]:
        return self.host, self.port, self.username, self.password, self.use_tls, self.use_ssl

    def open(self) -> bool | None:
        if self.connection is None:
            self.connection = kept.take(self.server)
            self.reused = self.connection is not None
            if self.reused:
                # As Django says that it is to be closed afterwards.
                return True
        return super().open()

    def close(self) -> None:
        if self.connection is not None and kept.give(self.server, self.connection):
            self.connection = None
        super().close()

    def _send(self, email_message: EmailMessage) -> bool:
        try:
            return self.hand_over(email_message)
        except OSError as error:
            # A server may end a kept connection at any time. Before it has the mail, that is no failure.
            if not self.reused or self.connection.sock or self.connection.handed_over or is_final(error):
                raise
        self.connection, self.reused = None, False
        super().open()
        return self.hand_over(email_message)

    def hand_over(self, email_message: EmailMessage) -> bool:
        recipients = email_message.recipients()
        if not recipients:
            return False
        sender = envelope(email_message.from_email)
        with suppress(smtplib.SMTPException) if self.fail_silently else nullcontext():
            if all(address.rpartition("@")[0].isascii() for address in recipients):
                envelopes, message = [envelope(address) for address in recipients], cast(Any, email_message.message())
                self.connection.sendmail(sender, envelopes, message.as_bytes(linesep="\r\n"))
            else:
                self.send_international(email_message, [with_ascii_domain(address) for address in recipients])
            return True
        return False

    def send_international(self, email_message: EmailMessage, recipients: list[str]) -> None:
        # Django encodes such a local part as an encoded word, which is another address to every mail server,
        # and fails when it is long.
        nameless = copy(email_message)
        nameless.to = []
        message = message_from_bytes(nameless.message().as_bytes(), policy=policy.SMTPUTF8)
        message["To"] = ", ".join(recipients)
        sender = envelope(email_message.from_email)
        cast(smtplib.SMTP, self.connection).send_message(message, sender, recipients)

    def _close_connection(self, connection: smtplib.SMTP) -> None:
        """Take leave. A server that does not answer QUIT has the mail all the same: it must not be sent again."""
        try:
            connection.quit()
        except OSError:
            connection.close()


def is_final(error: OSError) -> bool:
    """The server has refused the mail for good, whatever else it said."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= FINAL for code, _ in error.recipients.values())
    return isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= FINAL


def envelope(address: str) -> str:
    return address if PLAIN.fullmatch(address) else sanitized(address)


@lru_cache(maxsize=32)
def sanitized(address: str) -> str:
    """Django's reader of addresses is slow, and the sender is always the same."""
    return sanitize_address(address, settings.DEFAULT_CHARSET)


def with_ascii_domain(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}@{punycode(domain)}"
