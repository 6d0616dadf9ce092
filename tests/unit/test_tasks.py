import smtplib
from datetime import timedelta
from unittest import mock

from django.contrib.auth.hashers import make_password
from django.contrib.sessions.models import Session
from django.core import mail
from django.template import TemplateSyntaxError
from django.test import TestCase, override_settings
from django.utils.timezone import now

from config import celery_app
from core import tasks
from tests.unit.factories import user

LOGIN = "https://example.org/accounts/login/"
FIRST, SECOND = "7b0c6a3e-0000-4000-8000-000000000001", "7b0c6a3e-0000-4000-8000-000000000002"
LINK = "https://example.org/accounts/reset/MQ/token/"


class MailTaskTests(TestCase):
    def test_the_welcome_mail_is_the_specifications(self) -> None:
        result = tasks.send_welcome_email.delay(user_id=user().pk, login_url=LOGIN).get()

        (message,) = mail.outbox
        self.assertEqual(result, "Welcome email sent to bo@example.org")
        self.assertEqual((message.subject, message.to), ("Welcome to Django SaaS", ["bo@example.org"]))
        self.assertIn(LOGIN, message.body)

    def test_the_reset_mail_is_the_specifications(self) -> None:
        result = tasks.send_password_reset_email.delay(user_id=user().pk, reset_link=LINK).get()

        (message,) = mail.outbox
        self.assertEqual(result, "Password reset email sent to bo@example.org")
        self.assertEqual((message.subject, message.to), ("Password Reset Request", ["bo@example.org"]))
        self.assertIn(LINK, message.body)

    def test_they_leave_no_result_behind(self) -> None:
        for task in (tasks.send_welcome_email, tasks.send_password_reset_email, tasks.request_password_reset):
            self.assertTrue(task.ignore_result, task.name)

    def test_a_mail_says_that_no_person_wrote_it(self) -> None:
        tasks.send_welcome_email.delay(user_id=user().pk, login_url=LOGIN)

        self.assertEqual(mail.outbox[0].message()["Auto-Submitted"], "auto-generated")

    @override_settings(DEFAULT_FROM_EMAIL="Django SaaS <noreply@example.org>")
    def test_a_repeated_mail_has_the_message_id_of_the_first_and_another_has_not(self) -> None:
        kwargs = {"user_id": user().pk, "login_url": LOGIN}
        for task_id in (FIRST, FIRST, SECOND):
            tasks.send_welcome_email.apply(kwargs=kwargs, task_id=task_id)

        first, repeated, second = (message.message()["Message-ID"] for message in mail.outbox)
        self.assertRegex(first, r"^<[-0-9a-f]{36}@example\.org>$")
        self.assertEqual(repeated, first)
        self.assertNotEqual(second, first)

    @override_settings(DEFAULT_FROM_EMAIL="Bücher <noreply@bücher.example>")
    def test_a_message_id_is_ascii_whatever_the_senders_domain(self) -> None:
        tasks.send_welcome_email.apply(kwargs={"user_id": user().pk, "login_url": LOGIN})

        self.assertRegex(mail.outbox[0].message()["Message-ID"], r"^<[-0-9a-f]{36}@xn--bcher-kva\.example>$")

    def test_a_missing_user_is_a_warning_and_no_failure(self) -> None:
        with self.assertLogs("core", "WARNING") as logs:
            welcome = tasks.send_welcome_email.delay(user_id=0, login_url=LOGIN)
            reset = tasks.send_password_reset_email.delay(user_id=0, reset_link=LINK)

        self.assertEqual([welcome.get(), reset.get()], ["User 0 not found"] * 2)
        self.assertEqual(logs.output, ["WARNING:core.mails:User 0 not found"] * 2)

    def test_its_log_lines_have_name_and_id_and_no_address(self) -> None:
        with self.assertLogs("core.tasks", "INFO") as logs:
            result = tasks.send_welcome_email.delay(user_id=user().pk, login_url=LOGIN)

        name = f"INFO:core.tasks:send_welcome_email[{result.id}]"
        self.assertEqual(logs.output, [f"{name} begins, attempt 1", f"{name} done"])


class RequestPasswordResetTests(TestCase):
    def test_it_returns_nothing_that_tells(self) -> None:
        user()

        results = [tasks.request_password_reset.delay(email=f"{name}@example.org").get() for name in ("bo", "al")]

        self.assertEqual(results, [None, None])

    def test_it_takes_the_address_in_any_case_and_mails_to_the_stored_one(self) -> None:
        user()

        tasks.request_password_reset.delay(email="BO@Example.org")

        self.assertEqual(mail.outbox[0].to, ["bo@example.org"])

    def test_it_sends_nothing_to_accounts_that_cannot_log_in(self) -> None:
        user("al", is_active=False)
        user("cy", password=make_password(None))

        for name in ("al", "cy"):
            tasks.request_password_reset.delay(email=f"{name}@example.org")

        self.assertEqual(mail.outbox, [])


class CleanupTests(TestCase):
    def test_it_deletes_expired_sessions_and_only_these_and_only_once(self) -> None:
        for key, hours in (("old", -1), ("older", -9), ("new", 1)):
            Session.objects.create(session_key=key, session_data="", expire_date=now() + timedelta(hours=hours))

        results = [tasks.cleanup_expired_tokens.delay().get() for _ in range(2)]

        self.assertEqual(results, [f"Cleanup completed: {count} expired sessions deleted" for count in (2, 0)])
        self.assertEqual(Session.objects.get().session_key, "new")


class RetryTests(TestCase):
    """In eager mode a retry is run at once, so that counting tries needs no patience."""

    def setUp(self) -> None:
        # Where exceptions propagate, Celery's own for a retry does too.
        celery_app.conf.task_eager_propagates = False
        self.addCleanup(setattr, celery_app.conf, "task_eager_propagates", True)

    def tries(self, error: Exception) -> int:
        with mock.patch("core.mails.send_templated_email", side_effect=error) as send:
            result = tasks.send_welcome_email.delay(user_id=user().pk, login_url=LOGIN)
        self.assertIsInstance(result.result, type(error))
        return send.call_count

    def test_what_may_pass_is_tried_three_times_more(self) -> None:
        self.assertEqual(self.tries(smtplib.SMTPDataError(451, b"later")), 4)

    @override_settings(CELERY_TASK_MAX_RETRIES=5)
    def test_the_number_is_a_setting(self) -> None:
        self.assertEqual(self.tries(ConnectionRefusedError()), 6)

    def test_celery_is_told_to_wait_twice_as_long_each_time(self) -> None:
        send = tasks.send_welcome_email
        with mock.patch.object(send, "signature_from_request", wraps=send.signature_from_request) as again:
            self.tries(ConnectionRefusedError())

        for call, seconds in zip(again.call_args_list, (60, 120, 240), strict=True):
            self.assertAlmostEqual(call.kwargs["countdown"], seconds, delta=seconds / 10)

    def test_what_is_final_is_tried_once(self) -> None:
        self.assertEqual(self.tries(TemplateSyntaxError()), 1)
