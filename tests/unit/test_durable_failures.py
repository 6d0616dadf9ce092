from functools import partial
from typing import Any
from unittest import mock
from uuid import uuid4

from celery.worker.consumer import Consumer
from django.core import mail
from django.db import OperationalError, ProgrammingError
from kombu.exceptions import DecodeError
from kombu.exceptions import OperationalError as BrokerError

from config.celery import app
from core.durable import execution, letters, operations, patience
from core.durable.failures import BuryingConsumer
from core.durable.masking import MASK
from core.models import DeadLetter, TaskRecord
from core.tasks import send_welcome_email
from tests.unit.durable import URL, LetterCase, State

LINK = "https://example.org/accounts/reset/MQ/abc-0123456789/"


class PlainTaskTests(LetterCase):
    def test_its_failure_is_a_dead_letter_too(self) -> None:
        app.send_task("core.tasks.cleanup_expired_tokens", task_id="nightly", queue="celery")
        with mock.patch("core.sessions.delete_expired", side_effect=ValueError("bug")), self.assertLogs("celery"):
            self.work()

        letter = DeadLetter.objects.get()
        self.assertEqual((letter.pk, letter.task), ("nightly", "core.tasks.cleanup_expired_tokens"))
        self.assertEqual(letter.queue, "celery")

    def test_a_durable_message_that_could_not_be_recorded_is_a_dead_letter_too(self) -> None:
        key = app.send_task("core.tasks.send_welcome_email", (0, URL)).id
        with mock.patch.object(execution, "adopt", side_effect=ValueError("bug")), self.assertLogs("celery"):
            self.work()

        letter = DeadLetter.objects.get()
        self.assertEqual((letter.pk, letter.exception), (key, "ValueError: bug"))

    def test_one_that_could_not_be_looked_up_either_is_a_dead_letter_too(self) -> None:
        key = app.send_task("core.tasks.send_welcome_email", (0, URL)).id
        no_table = mock.patch.object(TaskRecord.objects, "filter", side_effect=ProgrammingError)
        bug = mock.patch.object(execution, "adopt", side_effect=ProgrammingError)
        with bug, no_table, self.assertLogs("celery"):
            self.execute(*self.fetch("email"))
        self.work()

        self.assertEqual(DeadLetter.objects.get().pk, key)

    def test_its_letter_does_not_depend_on_what_its_headers_say(self) -> None:
        for retries, attempts in ((None, 1), ("x", 1), (2, 3)):
            with self.subTest(retries), self.assertLogs("celery"):
                headers = {"retries": retries}
                key = app.send_task("core.tasks.cleanup_expired_tokens", (1,), queue="celery", headers=headers).id
                self.work()
                self.assertEqual(DeadLetter.objects.get(pk=key).attempts, attempts)

    def test_its_discarded_letter_does_not_come_back_when_its_message_does(self) -> None:
        for key in ("nightly", str(uuid4())):
            for round_ in ("first", "again"):
                app.send_task("core.tasks.cleanup_expired_tokens", task_id=key, queue="celery")
                bug = mock.patch("core.sessions.delete_expired", side_effect=ValueError("bug"))
                with self.subTest(key, round=round_), bug, self.assertLogs("celery"):
                    self.work()
                    self.assertEqual(DeadLetter.objects.count(), round_ == "first")
                for letter in DeadLetter.objects.all():
                    operations.discard(letter)

    def fail_while_the_broker_is_away(self) -> list[str]:
        app.send_task("core.tasks.cleanup_expired_tokens", task_id="nightly", queue="celery")
        bug = mock.patch("core.sessions.delete_expired", side_effect=ValueError("bug"))
        with bug, mock.patch.object(app, "send_task", side_effect=OSError), self.assertLogs() as logs:
            self.work()
        return [line for line in logs.output if "dead letter" in line]

    def test_its_letter_is_stored_at_once_while_the_broker_is_away(self) -> None:
        self.assertEqual(self.fail_while_the_broker_is_away(), [])
        self.assertEqual(DeadLetter.objects.get().pk, "nightly")

    def test_its_letter_waits_for_a_database_that_restarts_too(self) -> None:
        restarting = mock.patch.object(letters, "store", side_effect=[OperationalError, "stored"])
        with restarting, mock.patch.object(patience, "connection", mock.Mock(in_atomic_block=False)):
            self.assertEqual(self.fail_while_the_broker_is_away(), [])

    def test_that_its_letter_is_lost_is_an_error_in_the_log(self) -> None:
        with mock.patch.object(letters, "store", side_effect=OperationalError):
            (line,) = self.fail_while_the_broker_is_away()

        self.assertTrue(line.startswith("ERROR:"))
        self.assertIn("core.tasks.cleanup_expired_tokens[nightly] is lost: broker and database are away", line)


class BuryingConsumerTests(LetterCase):
    """What the worker's consumer does with a message before Celery drops it; the rest needs a worker."""

    def setUp(self) -> None:
        super().setUp()
        self.consumer = object.__new__(BuryingConsumer)
        self.consumer.app, self.consumer.hostname = app, "email@test"

    def bury_message(self, body: Any, reason: str, **how: Any) -> DeadLetter:
        self.connection.Producer().publish(body, routing_key="celery", **how)
        (message,) = self.fetch("celery")
        self.consumer.bury(message, reason, ValueError("why"))
        self.work()
        return DeadLetter.objects.get()

    def test_an_unknown_task_keeps_its_arguments_without_secrets(self) -> None:
        headers = {"id": "some-id", "task": "core.tasks.gone"}
        letter = self.bury_message([[1], {"token": "abcdef"}, {}], letters.UNKNOWN_TASK, headers=headers)

        self.assertEqual((letter.pk, letter.task, letter.queue), ("some-id", "core.tasks.gone", "celery"))
        self.assertEqual((letter.args, letter.kwargs, letter.masked), ([1], {"token": MASK}, True))
        self.assertEqual(letter.exception, "ValueError: why")

    def test_what_are_no_arguments_or_nested_too_deep_is_not_kept(self) -> None:
        nested: Any = []
        for _ in range(700):
            nested = [nested]
        for number, body in enumerate(([1, 2, 3], ["args", {}, {}], [[nested], {}, {}], [[], {"x": nested}, {}])):
            headers = {"id": "some-id", "task": "core.tasks.gone"}
            with self.subTest(number):
                letter = self.bury_message(body, letters.UNKNOWN_TASK, headers=headers)
                self.assertEqual((letter.args, letter.masked), ([], True))
                self.assertRaises(operations.RefusedError, operations.requeue, letter)

    def test_a_broker_that_fails_meanwhile_restarts_the_consumer_and_does_not_end_the_worker(self) -> None:
        away = mock.patch.object(letters, "send", side_effect=BrokerError)

        with away, self.assertRaises(ConnectionError):
            self.bury_message([[], {}, {}], letters.UNKNOWN_TASK, headers={"id": "some-id", "task": "core.tasks.gone"})

    def test_a_durable_call_of_an_unknown_task_is_closed_with_its_letter_and_can_be_requeued(self) -> None:
        with self.committed():
            result = send_welcome_email.delay(self.user.pk, URL)
        (message,) = self.fetch("email")
        self.consumer.bury(message, letters.UNKNOWN_TASK, KeyError("core.tasks.send_welcome_email"))
        self.work()
        self.assertEqual(self.record().state, State.DEAD)

        letter = DeadLetter.objects.get()
        self.assertEqual((letter.pk, letter.reason), (result.id, "unknown task"))
        with self.committed():
            operations.requeue(letter)
        self.work()
        self.assertEqual(len(mail.outbox), 1)

    def test_a_durable_call_whose_message_cannot_be_read_stays_open(self) -> None:
        with self.committed():
            send_welcome_email.delay(self.user.pk, URL)
        (message,) = self.fetch("email")
        self.consumer.bury(message, letters.UNDECODABLE, None)
        self.work()

        self.assertEqual(self.record().state, State.PUBLISHED)
        self.assertFalse(DeadLetter.objects.exists())

    def test_a_message_without_an_id_is_one_row_however_often_it_comes(self) -> None:
        how = {"content_type": "application/data", "content_encoding": "binary"}
        first = self.bury_message(b"\xff rubbish", letters.UNDECODABLE, **how)
        second = self.bury_message(b"\xff rubbish", letters.UNDECODABLE, **how)

        self.assertEqual((first.pk, first.task), (second.pk, "unknown"))
        self.assertIn("rubbish", first.kwargs["body"])

    def test_it_buries_before_celery_drops(self) -> None:
        order: list[str] = []
        bury = mock.patch.object(self.consumer, "bury", lambda *arguments: order.append(arguments[1]))
        methods = {
            "on_unknown_task": (None, None, ValueError()),
            "on_unknown_message": (None, None),
            "on_decode_error": (None, ValueError()),
            "on_invalid_task": (None, None, ValueError()),
        }
        for name, arguments in methods.items():
            drop = mock.patch.object(Consumer, name, side_effect=lambda *_: order.append("dropped"))
            with self.subTest(name), bury, drop:
                getattr(self.consumer, name)(*arguments)

        undecodable = [letters.UNDECODABLE, "dropped"]
        self.assertEqual(order, [letters.UNKNOWN_TASK, "dropped", *undecodable * 3])

    def test_of_an_unknown_task_what_looks_like_a_secret_is_masked(self) -> None:
        headers = {"id": "some-id", "task": "core.tasks.gone"}
        args = [1, "bo", "redis://:pw@h/0", ["x4hnk2p0qz7d1v9w3m5c8t6y0b2r4f1g"]]
        letter = self.bury_message([args, {}, {}], letters.UNKNOWN_TASK, headers=headers)

        self.assertEqual(letter.args, [1, "bo", f"redis://:{MASK}@h/0", [MASK]])

    def test_celerys_own_lines_leave_the_message_out(self) -> None:
        headers = {"id": "some-id", "task": "core.tasks.gone", "argsrepr": "('hunter2',)"}
        self.connection.Producer().publish([["hunter2"], {}, {}], routing_key="celery", headers=headers)
        (message,) = self.fetch("celery")
        message.ack, message.reject_log_error = mock.Mock(), mock.Mock()
        consumer: Any = mock.Mock(_message_report=partial(vars(Consumer)["_message_report"], None))
        error = DecodeError(UnicodeDecodeError("utf-8", b"hunter2", 0, 1, "bad"))
        with self.assertLogs("celery") as logs:
            Consumer.on_unknown_task(consumer, None, message, KeyError("core.tasks.gone"))
            Consumer.on_unknown_message(consumer, None, message)
            Consumer.on_decode_error(consumer, message, error)
            Consumer.on_invalid_task(consumer, None, message, error)

        self.assertEqual(len(logs.output), 4)
        self.assertNotIn("hunter2", "".join(logs.output))
        self.assertIn("Received unregistered task of type 'core.tasks.gone'.", logs.output[0])

    def test_a_body_that_cannot_be_decoded_is_shown_as_it_is(self) -> None:
        headers = {"id": "some-id", "task": "core.tasks.gone"}
        how = {"content_type": "application/json", "content_encoding": "utf-8", "headers": headers}
        letter = self.bury_message(f"not json {LINK}", letters.UNKNOWN_TASK, **how)

        self.assertEqual(letter.kwargs, {"body": f"not json https://example.org/accounts/reset/{MASK}"})
