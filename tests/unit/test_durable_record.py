from datetime import timedelta
from unittest import mock
from uuid import uuid4

from django.db import transaction
from django.utils.timezone import now
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import ConnectionError as RedisConnectionError

from config.celery import app
from core.durable import outbox
from core.durable.breaker import Breaker
from core.models import TaskRecord
from core.tasks import send_welcome_email
from tests.unit import factories
from tests.unit.durable import URL, DurableCase, State


class RecordTests(DurableCase):
    def test_it_is_rolled_back_with_its_caller(self) -> None:
        with self.committed(), self.assertRaises(ZeroDivisionError), transaction.atomic():
            send_welcome_email.delay(user_id=1, login_url=URL)
            raise ZeroDivisionError

        self.assertFalse(TaskRecord.objects.exists())
        self.assertEqual(self.fetch("email"), [])

    def test_it_is_published_after_the_commit_and_not_before(self) -> None:
        with self.committed():
            result = send_welcome_email.delay(user_id=1, login_url=URL)
            self.assertEqual(self.fetch("email"), [])

        (message,) = self.fetch("email")
        self.assertEqual(message.headers["id"], result.id)
        self.assertEqual(str(self.record().pk), result.id)
        self.assertEqual(message.decode()[1], {"user_id": 1, "login_url": URL})

    def test_wrong_arguments_are_refused_at_the_call(self) -> None:
        with self.assertRaises(TypeError):
            send_welcome_email.delay(1)

        self.assertFalse(TaskRecord.objects.exists())

    def test_arguments_that_are_no_json_are_refused_at_the_call(self) -> None:
        with self.assertRaises(TypeError):
            send_welcome_email.delay(user_id=object(), login_url=URL)

    def test_a_failure_to_record_leaves_the_callers_transaction_usable(self) -> None:
        key = str(uuid4())
        send_welcome_email.apply_async((1, URL), task_id=key)

        with self.assertRaises(Exception):  # noqa: B017
            send_welcome_email.apply_async((1, URL), task_id=key)

        self.assertEqual(TaskRecord.objects.count(), 1)

    def test_a_countdown_waits_in_the_record(self) -> None:
        with self.committed():
            send_welcome_email.apply_async((1, URL), countdown=60)

        self.assertEqual(self.fetch("email"), [])
        self.assertEqual(self.record().state, State.WAITING)
        self.assertGreater(self.record().due_at, now() + timedelta(seconds=55))

    def test_eager_mode_runs_at_once_and_records_nothing(self) -> None:
        app.conf.task_always_eager = True
        user = factories.user()

        result = send_welcome_email.delay(user_id=user.pk, login_url=URL)

        self.assertEqual(result.get(), "Welcome email sent to bo@example.org")
        self.assertFalse(TaskRecord.objects.exists())

    def test_a_direct_call_runs_the_body(self) -> None:
        self.assertEqual(send_welcome_email(user_id=0, login_url=URL), "User 0 not found")


class BrokerAwayTests(DurableCase):
    def test_a_call_succeeds_and_its_record_waits(self) -> None:
        with mock.patch.object(outbox, "send", side_effect=OSError), self.assertLogs("core.durable"), self.committed():
            send_welcome_email.delay(user_id=1, login_url=URL)

        self.assertEqual(self.record().state, State.WAITING)
        self.assertLessEqual(self.record().due_at, now())

    def test_the_next_calls_only_record(self) -> None:
        with mock.patch.object(outbox, "send", side_effect=OSError) as send, self.assertLogs("core.durable"):
            for _ in range(3):
                with self.committed():
                    send_welcome_email.delay(user_id=1, login_url=URL)

        self.assertEqual(send.call_count, 1)
        self.assertEqual({record.state for record in TaskRecord.objects.all()}, {State.WAITING})

    def test_a_call_that_cannot_be_sent_does_not_keep_others_from_it(self) -> None:
        with self.assertLogs("core.durable", "WARNING") as logs, self.committed():
            send_welcome_email.apply_async((1, URL), serializer="nosuch")
        with self.committed():
            send_welcome_email.delay(user_id=1, login_url=URL)

        self.assertIn("it could not be sent (SerializerNotInstalled)", logs.output[0])
        self.assertEqual(len(self.fetch("email")), 1)

    def test_each_way_in_which_the_broker_is_away_is_one(self) -> None:
        for error in (OSError, BrokerError, RedisConnectionError):
            breaker = Breaker()
            with self.subTest(error), self.assertRaises(error), breaker.attempt():
                raise error
            self.assertTrue(breaker.is_open)
