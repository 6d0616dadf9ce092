import logging
import uuid
from typing import Any
from unittest import mock

from django.http import HttpResponse
from django.test import TestCase

from accounts.models import User
from config.celery import app
from core.identifiers import ANSWERED, Identifiers, account, on_behalf_of
from core.models import DeadLetter, TaskRecord
from core.tasks import send_welcome_email
from tests.unit.durable import DurableCase

REQUEST = "0123456789abcdef0123456789abcdef"


def record(*args: Any, **extra: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "core.tasks", "args": args[0] if args else (), **extra})
    Identifiers().filter(made)
    return made


class IdentifiersTests(TestCase):
    def test_a_line_outside_of_everything_has_empty_ones(self) -> None:
        made = record()

        self.assertEqual((made.request_id, made.task_id, made.task_name, made.user_id), ("", "", "", ""))  # type: ignore[attr-defined]

    def test_what_the_caller_passes_stays(self) -> None:
        with on_behalf_of(REQUEST):
            self.assertEqual(record(request_id="other").request_id, "other")  # type: ignore[attr-defined]

    def test_a_celery_line_about_a_task_names_it(self) -> None:
        made = record(data={"id": "4711", "name": "core.tasks.any"})

        self.assertEqual((made.task_id, made.task_name), ("4711", "core.tasks.any"))  # type: ignore[attr-defined]

    def test_a_gunicorn_line_has_the_identifier_of_the_answer(self) -> None:
        self.assertEqual(record({ANSWERED: REQUEST}).request_id, REQUEST)  # type: ignore[attr-defined]


class RequestTests(TestCase):
    def lines(self, method: str, url: str, **how: Any) -> list[logging.LogRecord]:
        with self.assertLogs("accounts", "INFO") as logs:
            getattr(self.client, method)(url, headers={"x-request-id": REQUEST}, **how)
        for line in logs.records:
            Identifiers().filter(line)
        return logs.records

    def test_nginx_names_the_request_and_the_answer_repeats_it(self) -> None:
        response = self.client.get("/health/", headers={"x-request-id": REQUEST})

        self.assertEqual(response["X-Request-ID"], REQUEST)

    def test_what_is_no_identifier_is_replaced(self) -> None:
        response = self.client.get("/health/", headers={"x-request-id": "x'; rm -rf"})

        self.assertRegex(response["X-Request-ID"], "^[0-9a-f]{32}$")

    def test_registering_logs_the_new_user(self) -> None:
        password = "Vq7-moor-lantern"
        data = {"username": "bo", "email": "bo@example.org", "password1": password, "password2": password}

        line = self.lines("post", "/accounts/register/", data=data)[0]

        self.assertEqual(line.__dict__["user_id"], User.objects.get().pk)

    def test_a_line_of_a_signed_in_visitor_names_the_account(self) -> None:
        bo = User.objects.create_user("bo", "bo@example.org", "secret")
        self.client.force_login(bo)

        seen = []

        def render(*_: Any) -> HttpResponse:
            seen.append(record().__dict__["user_id"])
            return HttpResponse()

        with mock.patch("core.views.render", render):
            self.client.get("/")

        self.assertEqual(seen, [str(bo.pk)])

    def test_a_line_asks_the_database_for_nobody(self) -> None:
        self.client.force_login(User.objects.create_user("bo", "bo@example.org", "secret"))

        with mock.patch("core.health.broker_answers", side_effect=record), self.assertNumQueries(1):
            self.client.get("/health/")


class TaskTests(DurableCase):
    def test_the_record_the_message_and_the_run_carry_the_request(self) -> None:
        with on_behalf_of(REQUEST), self.committed():
            send_welcome_email.delay(user_id=7, login_url="/")
        (message,) = self.fetch("email")

        with self.assertLogs("core", "INFO") as logs, mock.patch("core.mails.missing", side_effect=self.note):
            self.execute(message)

        self.assertEqual(self.record().request_id, REQUEST)
        self.assertEqual(message.headers["X-Request-ID"], REQUEST)
        self.assertEqual(self.seen, [REQUEST, str(self.record().pk), "core.tasks.send_welcome_email", "7"])
        self.assertEqual(account.get(), "")
        self.assertTrue(logs.output)

    def note(self, _user_id: int) -> str:
        made = record().__dict__
        self.seen = [made[name] for name in ("request_id", "task_id", "task_name", "user_id")]
        return "noted"

    def test_a_sweeper_publishes_on_behalf_of_the_request(self) -> None:
        from core.durable.sweeper import sweep  # noqa: PLC0415

        with on_behalf_of(REQUEST), self.committed():
            send_welcome_email.delay(user_id=7, login_url="/")
        self.fetch("email")
        TaskRecord.objects.update(due_at="2020-01-01T00:00:00Z")

        with self.assertLogs("core.durable", "INFO") as logs:
            sweep(app)

        self.assertEqual(self.fetch("email")[0].headers["X-Request-ID"], REQUEST)
        self.assertEqual(logs.records[-1].__dict__["request_id"], REQUEST)

    def test_a_dead_letter_tells_the_request(self) -> None:
        with on_behalf_of(REQUEST), self.committed():
            send_welcome_email.delay(user_id=7, login_url="/")

        with mock.patch("core.mails.missing", side_effect=ValueError("oh")):
            self.work()

        self.assertEqual(DeadLetter.objects.get().request_id, REQUEST)

    def test_a_message_that_nobody_published_for_a_request_gets_an_identifier(self) -> None:
        with mock.patch("core.mails.missing", side_effect=self.note):
            self.execute(self.by_hand())

        self.assertRegex(self.seen[0], "^[0-9a-f]{32}$")
        self.assertEqual(self.record().request_id, self.seen[0])

    def by_hand(self) -> Any:
        app.send_task("core.tasks.send_welcome_email", [7, "/"], task_id=str(uuid.uuid4()), queue="email")
        return self.fetch("email")[0]
