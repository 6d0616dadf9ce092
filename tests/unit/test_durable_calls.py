"""Every way to call a durable task that Celery has."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from uuid import uuid4

from celery import Task, chain, group
from django.core import mail
from django.db import transaction
from django.utils.timezone import now

from config.celery import app
from core.models import DeadLetter, TaskRecord
from core.tasks import cleanup_expired_tokens, request_password_reset, send_welcome_email
from tests.unit import factories
from tests.unit.durable import DurableCase

State = TaskRecord.State
URL = "https://example.org/accounts/login/"


class CallTests(DurableCase):
    def setUp(self) -> None:
        super().setUp()
        self.user = factories.user()

    def test_a_savepoint_that_is_rolled_back_takes_its_calls_along(self) -> None:
        with self.committed(), transaction.atomic():
            send_welcome_email.delay(self.user.pk, URL)
            with self.assertRaises(ZeroDivisionError), transaction.atomic():
                send_welcome_email.delay(0, URL)
                raise ZeroDivisionError

        (message,) = self.fetch("email")
        self.assertEqual(message.headers["id"], str(self.record().pk))
        self.assertEqual(message.decode()[0], [self.user.pk, URL])

    def test_a_call_on_commit_is_recorded_before_it(self) -> None:
        with transaction.atomic():
            send_welcome_email.delay_on_commit(self.user.pk, URL)
            send_welcome_email.apply_async_on_commit((self.user.pk, URL))

        self.assertEqual(TaskRecord.objects.count(), 2)

    def test_no_countdown_is_no_delay(self) -> None:
        with self.committed():
            send_welcome_email.apply_async((self.user.pk, URL), countdown=0)

        self.assertEqual(len(self.fetch("email")), 1)

    def test_an_eta_may_be_a_moment_or_its_text(self) -> None:
        moment = datetime(2100, 1, 1, 12, tzinfo=UTC)
        for eta in (moment, moment.isoformat(), moment.replace(tzinfo=None)):
            with self.subTest(eta), self.committed():
                key = send_welcome_email.apply_async((self.user.pk, URL), eta=eta).id
            record = TaskRecord.objects.get(pk=key)
            self.assertEqual((record.state, record.due_at), (State.WAITING, moment))

    def test_an_expiry_may_be_seconds_a_moment_or_its_text(self) -> None:
        past = now() - timedelta(seconds=1)
        for expires in (-1, past, past.isoformat()):
            with self.subTest(expires), self.committed():
                send_welcome_email.apply_async((self.user.pk, URL), expires=expires)
            self.work()

        self.assertEqual(mail.outbox, [])
        self.assertEqual(set(TaskRecord.objects.values_list("state", flat=True)), {State.DONE})

    def test_an_expiry_that_is_no_time_is_refused_at_the_call(self) -> None:
        for expires in ("soon", ["soon"], timedelta(1), float("nan"), 1e300):
            with self.subTest(expires), self.assertRaises((TypeError, ValueError, OverflowError)):
                send_welcome_email.apply_async((self.user.pk, URL), expires=expires)

        self.assertFalse(TaskRecord.objects.exists())

    def test_what_is_due_goes_by_the_databases_clock(self) -> None:
        later = mock.Mock(now=lambda tz: datetime.now(tz) + timedelta(hours=1))
        with mock.patch("django.utils.timezone.datetime", later), self.committed():
            send_welcome_email.delay(self.user.pk, URL)
            send_welcome_email.apply_async((self.user.pk, URL), countdown=60)
            app.send_task("core.tasks.send_welcome_email", (self.user.pk, URL))
        with (
            mock.patch("core.mails.send_welcome", side_effect=OSError("away")),
            mock.patch("django.utils.timezone.datetime", later),
            self.assertLogs("core.tasks"),
        ):
            self.work()

        dues = [(record.due_at - now()).total_seconds() for record in TaskRecord.objects.all()]
        self.assertEqual([0 < due < 70 for due in dues], [True] * 3)

    def test_what_is_linked_to_it_is_called_with_its_end(self) -> None:
        with self.committed():
            send_welcome_email.apply_async((self.user.pk, URL), link=request_password_reset.si("bo@example.org"))
        self.work()

        self.assertEqual(TaskRecord.objects.filter(state=State.DONE).count(), 2)
        self.assertEqual(len(mail.outbox), 2)

    def end_while_the_broker_is_away(self, *links: Any) -> list[str]:
        with self.committed():
            send_welcome_email.apply_async((self.user.pk, URL), link=list(links))
        (message,) = self.fetch("email")
        away = mock.patch.object(Task, "apply_async", side_effect=OSError)
        with away, mock.patch.object(app, "send_task", side_effect=OSError), self.assertLogs("core.durable") as logs:
            self.execute(message)
        return [line for line in logs.output if line.startswith("ERROR")]

    def test_a_plain_call_that_cannot_be_published_undoes_nothing(self) -> None:
        plain = cleanup_expired_tokens.si()
        durable = request_password_reset.si("bo@example.org")
        several = group(plain, durable, group(durable, durable))
        lost = self.end_while_the_broker_is_away(plain, durable, several, chain(durable, plain), chain(plain, durable))

        self.assertEqual(len(lost), 3)
        self.assertIn("send_welcome_email", lost[0])
        self.assertEqual(TaskRecord.objects.filter(state=State.DONE).count(), 1)
        self.assertEqual(TaskRecord.objects.filter(state=State.WAITING).count(), 5)

    def test_a_call_that_cannot_follow_is_a_dead_letter_and_repeats_nothing(self) -> None:
        with self.committed():
            send_welcome_email.apply_async((self.user.pk, URL), link=request_password_reset.si("one", "too many"))
        with self.assertLogs("celery"):
            self.work()

        self.assertEqual((self.record().state, len(mail.outbox)), (State.DEAD, 1))
        self.assertIn("TypeError", DeadLetter.objects.get().exception)

    def test_a_plain_task_may_be_the_next_of_a_chain(self) -> None:
        with self.committed():
            chain(send_welcome_email.si(self.user.pk, URL), cleanup_expired_tokens.si()).apply_async()

        self.assertEqual(self.work(), ["SUCCESS", "SUCCESS"])
        self.assertEqual(self.record().state, State.DONE)

    def test_what_is_linked_to_its_failure_is_called_then(self) -> None:
        with self.committed():
            send_welcome_email.apply_async((self.user.pk, URL), link_error=request_password_reset.si("bo@example.org"))
        with mock.patch("core.mails.send_welcome", side_effect=ValueError("bug")), self.assertLogs("celery"):
            self.work()

        self.assertEqual([message.subject for message in mail.outbox], ["Password Reset Request"])

    def test_each_of_a_group_is_recorded(self) -> None:
        with self.committed():
            group(send_welcome_email.si(self.user.pk, URL), request_password_reset.si("bo@example.org")).apply_async()
        recorded = TaskRecord.objects.count()
        self.work()

        self.assertEqual((recorded, len(mail.outbox)), (2, 2))

    def test_ten_megabytes_are_carried(self) -> None:
        with self.committed():
            request_password_reset.delay("x" * 10_000_000)
        self.work()

        self.assertEqual((self.record().state, self.record().payload), (State.DONE, ""))

    def test_what_no_worker_could_read_is_refused_at_the_call(self) -> None:
        deep: list[Any] = []
        for _ in range(600):
            deep = [deep]
        for argument in ({"__type__": "nope", "__value__": 1}, deep):
            with self.assertRaises(ValueError):
                request_password_reset.delay(argument)

        self.assertFalse(TaskRecord.objects.exists())

    def test_a_task_id_that_is_no_uuid_is_refused_at_the_call(self) -> None:
        with self.assertRaises(ValueError):
            send_welcome_email.apply_async((self.user.pk, URL), task_id="welcome-1")

    def test_a_task_id_that_was_used_is_refused_also_when_it_is_done(self) -> None:
        key = str(uuid4())
        with self.committed():
            send_welcome_email.apply_async((self.user.pk, URL), task_id=key)
        self.work()

        with self.assertRaises(Exception), transaction.atomic():  # noqa: B017
            send_welcome_email.apply_async((self.user.pk, URL), task_id=key)
        self.assertEqual(len(mail.outbox), 1)
