from unittest import mock

from django.core.mail import EmailMessage
from django.test import SimpleTestCase

from accounts.fields import AddressValidator
from core.email import send_templated_email
from core.smtp import EmailBackend, PlainConnection, TLSConnection

CONTEXT = {"user": {"username": "bo"}, "login_url": "https://example.org/"}


class EmailBackendTests(SimpleTestCase):
    def send(self, to: str, connection: mock.Mock) -> int:
        backend = EmailBackend(host="mail.example.org")
        with mock.patch("core.smtp.PlainConnection", return_value=connection):
            return backend.send_messages([EmailMessage("Hello", "Hello", "noreply@example.org", [to])])

    def test_an_ascii_local_part_goes_djangos_way(self) -> None:
        connection = mock.Mock()

        self.assertEqual(self.send("bo@exämple.org", connection), 1)
        self.assertEqual(connection.sendmail.call_args.args[1], ["bo@xn--exmple-cua.org"])

    def test_another_is_sent_as_it_is(self) -> None:
        connection = mock.Mock()

        self.assertEqual(self.send("jörg@exämple.org", connection), 1)
        message, sender, recipients = connection.send_message.call_args.args
        self.assertEqual((sender, recipients), ("noreply@example.org", ["jörg@xn--exmple-cua.org"]))
        self.assertEqual(message["To"], "jörg@xn--exmple-cua.org")

    def test_the_longest_addresses_that_are_accepted_are_sent(self) -> None:
        for address in (f"{'ü' * 32}@example.org", f"{'a' * 64}@{'ü' * 50}.example"):
            with self.subTest(address):
                AddressValidator()(address)

                self.assertEqual(self.send(address, mock.Mock()), 1)

    def test_silence_after_the_mail_was_accepted_is_no_failure(self) -> None:
        connection = mock.Mock(quit=mock.Mock(side_effect=TimeoutError))

        self.assertEqual(self.send("bo@example.org", connection), 1)
        connection.close.assert_called_once_with()


class TellingTests(SimpleTestCase):
    def test_the_servers_answer_is_logged(self) -> None:
        accepted = mock.patch("smtplib.SMTP.data", return_value=(250, b"2.0.0 Ok: queued as 4711"))
        with accepted, self.assertLogs("core.smtp", "INFO") as logs:
            PlainConnection().data("")

        self.assertEqual(logs.output, ["INFO:core.smtp:The mail server answered 250 2.0.0 Ok: queued as 4711"])

    def test_a_refusal_is_a_warning(self) -> None:
        refused = mock.patch("smtplib.SMTP.rcpt", return_value=(550, b"No such user"))
        with refused, self.assertLogs("core.smtp", "INFO") as logs:
            TLSConnection().rcpt("bo@example.org")

        self.assertEqual(logs.output, ["WARNING:core.smtp:The mail server answered 550 No such user"])

    def test_the_recipients_that_are_taken_are_not_worth_a_line(self) -> None:
        with mock.patch("smtplib.SMTP.rcpt", return_value=(250, b"Ok")), self.assertNoLogs("core.smtp"):
            PlainConnection().rcpt("bo@example.org")


class SendTemplatedEmailTests(SimpleTestCase):
    def test_it_takes_one_address_or_several(self) -> None:
        for to, wanted in (("bo@example.org", ["bo@example.org"]), (["a@b.org", "c@d.org"], ["a@b.org", "c@d.org"])):
            with mock.patch("core.email.EmailMultiAlternatives.send", autospec=True) as send:
                send_templated_email("Welcome", "emails/welcome_email", CONTEXT, to)
            self.assertEqual(send.call_args.args[0].to, wanted)
