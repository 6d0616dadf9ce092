import smtplib

from django.db import IntegrityError, OperationalError
from django.test import SimpleTestCase, override_settings

from core.retries import delay_before_retry, is_transient

PASSING = [
    ConnectionRefusedError(),
    TimeoutError(),
    smtplib.SMTPServerDisconnected("gone"),
    smtplib.SMTPConnectError(421, b"busy"),
    smtplib.SMTPDataError(451, b"later"),
    smtplib.SMTPRecipientsRefused({"bo@example.org": (450, b"greylisted")}),
    OperationalError("restarting"),
]
FINAL = [
    smtplib.SMTPDataError(554, b"no"),
    smtplib.SMTPAuthenticationError(535, b"no"),
    smtplib.SMTPSenderRefused(550, b"no", "noreply@example.org"),
    smtplib.SMTPRecipientsRefused({"bo@example.org": (550, b"unknown")}),
    smtplib.SMTPNotSupportedError("SMTPUTF8"),
    smtplib.SMTPException("no suitable authentication"),
    IntegrityError("twice"),
    ValueError("a bug"),
]


class TransientTests(SimpleTestCase):
    def test_what_may_pass_is_told_from_what_is_final(self) -> None:
        for errors, transient in ((PASSING, True), (FINAL, False)):
            for error in errors:
                with self.subTest(error=repr(error)):
                    self.assertEqual(is_transient(error), transient)


class DelayTests(SimpleTestCase):
    def assert_about(self, retries: int, seconds: float) -> None:
        delays = [delay_before_retry(retries) for _ in range(200)]
        self.assertGreaterEqual(min(delays), seconds * 0.9)
        self.assertLessEqual(max(delays), seconds * 1.1)
        self.assertGreater(max(delays) - min(delays), seconds * 0.1)

    def test_it_doubles_up_to_ten_minutes_with_a_tenth_of_chance(self) -> None:
        for retries, seconds in enumerate((60, 120, 240, 480, 600, 600)):
            self.assert_about(retries, seconds)

    @override_settings(CELERY_TASK_DEFAULT_RETRY_DELAY=1)
    def test_it_starts_at_the_setting(self) -> None:
        self.assert_about(2, 4)
