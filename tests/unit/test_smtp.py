from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPServerDisconnected
from typing import Any
from unittest import mock

from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.message import sanitize_address
from django.test import SimpleTestCase

from accounts.fields import AddressValidator
from core.email import TwoPartMail, send_templated_email
from core.kept import IDLE, MOST, Kept
from core.smtp import EmailBackend, envelope

CONTEXT = {"user": {"username": "bo"}, "login_url": "https://example.org/"}


def connected(**answers: Any) -> mock.Mock:
    return mock.Mock(accepted=True, mails=1, handed_over=False, **answers)


class EmailBackendTests(SimpleTestCase):
    def setUp(self) -> None:
        self.enterContext(mock.patch("core.smtp.kept", Kept()))

    def send(self, to: str, connection: mock.Mock) -> int:
        backend = EmailBackend(host="mail.example.org")
        with mock.patch("core.smtp.Connection", return_value=connection):
            return backend.send_messages([EmailMessage("Hello", "Hello", "noreply@example.org", [to])])

    def test_an_ascii_local_part_goes_djangos_way(self) -> None:
        connection = connected()

        self.assertEqual(self.send("bo@exämple.org", connection), 1)
        self.assertEqual(connection.sendmail.call_args.args[1], ["bo@xn--exmple-cua.org"])

    def test_another_is_sent_as_it_is(self) -> None:
        connection = connected()

        self.assertEqual(self.send("jörg@exämple.org", connection), 1)
        message, sender, recipients = connection.send_message.call_args.args
        self.assertEqual((sender, recipients), ("noreply@example.org", ["jörg@xn--exmple-cua.org"]))
        self.assertEqual(message["To"], "jörg@xn--exmple-cua.org")

    def test_the_longest_addresses_that_are_accepted_are_sent(self) -> None:
        for address in (f"{'ü' * 32}@example.org", f"{'a' * 64}@{'ü' * 50}.example"):
            with self.subTest(address):
                AddressValidator()(address)

                self.assertEqual(self.send(address, connected()), 1)

    def test_whoever_asks_for_silence_is_not_told_of_a_refusal(self) -> None:
        connection = connected(sendmail=mock.Mock(side_effect=SMTPDataError(554, b"No")))

        with mock.patch("core.smtp.Connection", return_value=connection):
            mail = EmailMessage("Hello", "Hello", "noreply@example.org", ["bo@example.org"])
            self.assertEqual(EmailBackend(fail_silently=True).send_messages([mail]), 0)
            with self.assertRaises(SMTPDataError):
                EmailBackend().send_messages([mail])

    def test_a_mail_to_nobody_is_not_sent(self) -> None:
        connection = connected()

        self.assertEqual(self.send("", connection), 0)
        connection.sendmail.assert_not_called()

    def test_silence_after_the_mail_was_accepted_is_no_failure(self) -> None:
        connection = connected(quit=mock.Mock(side_effect=TimeoutError))
        connection.mails = MOST

        self.assertEqual(self.send("bo@example.org", connection), 1)
        connection.close.assert_called_once_with()

    def test_the_connection_is_kept_for_the_next_mail(self) -> None:
        connection = connected()

        self.send("bo@example.org", connection)
        self.send("al@example.org", connected())
        self.assertEqual(connection.sendmail.call_count, 2)
        connection.quit.assert_not_called()

    def test_after_a_refusal_it_is_not(self) -> None:
        connection = connected()
        connection.accepted = False

        self.send("bo@example.org", connection)
        connection.quit.assert_called_once_with()

    def test_a_server_that_has_ended_it_gets_the_mail_over_another(self) -> None:
        ended, fresh = connected(), connected()
        self.send("bo@example.org", ended)
        ended.sendmail.side_effect, ended.sock = SMTPServerDisconnected("421"), None

        self.assertEqual(self.send("al@example.org", fresh), 1)
        fresh.sendmail.assert_called_once()

    def test_a_mail_that_the_server_may_have_is_not_sent_again(self) -> None:
        ended, fresh = connected(), connected()
        self.send("bo@example.org", ended)
        ended.sendmail.side_effect, ended.sock, ended.handed_over = SMTPServerDisconnected("gone"), None, True

        with self.assertRaises(SMTPServerDisconnected):
            self.send("al@example.org", fresh)
        fresh.sendmail.assert_not_called()

    def test_a_refusal_over_a_kept_connection_is_one_even_if_it_is_ended_then(self) -> None:
        for error in (SMTPRecipientsRefused({"al@example.org": (550, b"No such user")}), SMTPDataError(554, b"No")):
            for sock in (mock.Mock(), None):
                with self.subTest(error=error, sock=sock), mock.patch("core.smtp.kept", Kept()):
                    connection, fresh = connected(), connected()
                    self.send("bo@example.org", connection)
                    connection.sendmail.side_effect, connection.sock = error, sock

                    with self.assertRaises(type(error)):
                        self.send("al@example.org", fresh)
                    fresh.sendmail.assert_not_called()

    def test_a_new_connection_that_fails_is_not_tried_again(self) -> None:
        connection = connected()
        connection.sendmail.side_effect, connection.sock = SMTPServerDisconnected("gone"), None

        with self.assertRaises(SMTPServerDisconnected):
            self.send("bo@example.org", connection)
        connection.sendmail.assert_called_once()


class KeptTests(SimpleTestCase):
    def setUp(self) -> None:
        self.kept = Kept()
        self.now = self.enterContext(mock.patch("core.kept.time.monotonic", return_value=0.0))
        self.timer = self.enterContext(mock.patch("core.kept.Timer"))

    def test_the_latest_is_taken_first(self) -> None:
        first, second = connected(), connected()
        self.kept.give(("a",), first)
        self.kept.give(("a",), second)

        self.assertEqual([self.kept.take(("a",)) for _ in range(3)], [second, first, None])

    def test_another_server_gets_none_of_them(self) -> None:
        self.kept.give(("a",), connected())

        self.assertIsNone(self.kept.take(("b",)))

    def test_one_that_was_idle_for_too_long_is_not_taken(self) -> None:
        self.kept.give(("a",), connected())
        self.now.return_value = IDLE

        self.assertIsNone(self.kept.take(("a",)))

    def test_one_that_has_sent_enough_is_not_kept(self) -> None:
        connection = connected()
        connection.mails = MOST

        self.assertFalse(self.kept.give(("a",), connection))

    def test_leave_is_taken_of_what_is_idle_and_the_others_are_looked_at_later(self) -> None:
        idle, busy = connected(quit=mock.Mock(side_effect=TimeoutError)), connected()
        self.kept.give(("a",), idle)
        self.now.return_value = IDLE - 1
        self.kept.give(("a",), busy)

        self.now.return_value = IDLE
        self.kept.tidy()
        idle.quit.assert_called_once_with()
        busy.quit.assert_not_called()
        self.assertEqual(self.timer.call_count, 2)


class EnvelopeTests(SimpleTestCase):
    def test_an_address_is_what_django_makes_of_it(self) -> None:
        for address in (
            "bo@example.org",
            "b.o+x-1@mail.example.org",
            "Bo <bo@example.org>",
            '"b o"@example.org',
            "b..o@example.org",
            "bo@example.org\n",
            "bo@é.org",
        ):
            with self.subTest(address):
                self.assertEqual(envelope(address), sanitize_address(address, "utf-8"))

    def test_what_django_refuses_is_refused(self) -> None:
        for address in ("bo@", "bo@example.org, a@b.org"):
            with self.subTest(address), self.assertRaises(ValueError):
                envelope(address)


class TwoPartMailTests(SimpleTestCase):
    def test_it_is_the_mail_that_django_builds(self) -> None:
        for subject, text in (
            ("Welcome", "Hello Bo"),
            ("Wëlcome", "Hëllo"),
            ("Welcome " * 20, "x" * 2000),
            ("W" * 90, "From the beginning\n.\n"),
            ("A  b\t c", ""),
        ):
            with self.subTest(subject):
                self.assertEqual(lines(TwoPartMail, subject, text), lines(EmailMultiAlternatives, subject, text))

    def test_each_has_a_boundary_of_its_own(self) -> None:
        self.assertNotEqual(TwoPartMail().message().get_boundary(), TwoPartMail().message().get_boundary())


def lines(kind: type[EmailMultiAlternatives], subject: str, text: str) -> list[bytes]:
    headers = {"Date": "Sun, 29 Nov 2026 07:02:53 -0000", "Message-ID": f"<{'a' * 70}@example.org>"}
    to = [f"user{number}@example.org" for number in range(9)]
    mail = kind(subject, text, "Döris <bo@example.org>", to, headers=headers)
    mail.attach_alternative(f"<p>{text}</p>", "text/html")
    message: Any = mail.message()
    built = message.as_bytes(linesep="\r\n")
    boundary = message.get_boundary().encode()
    return sorted(built.replace(boundary, b"boundary").split(b"\r\n"))


class SendTemplatedEmailTests(SimpleTestCase):
    def test_it_takes_one_address_or_several(self) -> None:
        for to, wanted in (("bo@example.org", ["bo@example.org"]), (["a@b.org", "c@d.org"], ["a@b.org", "c@d.org"])):
            with mock.patch("core.email.TwoPartMail.send", autospec=True) as send:
                send_templated_email("Welcome", "emails/welcome_email", CONTEXT, to)
            self.assertEqual(send.call_args.args[0].to, wanted)
