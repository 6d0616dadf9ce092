from collections import Counter
from datetime import timedelta
from types import SimpleNamespace
from typing import cast
from unittest import mock

from django.utils.timezone import now
from kombu import Connection
from kombu.exceptions import OperationalError as BrokerError

from config.celery import app
from core.durable import outbox, sweeper
from core.durable.queues import Queues
from core.models import DeadLetter, TaskRecord
from tests.unit.durable import LONG_AGO, URL, DurableCase, State, record


class SweepTests(DurableCase):
    def ids(self, queue: str = "email") -> list[str]:
        return [message.headers["id"] for message in self.fetch(queue)]

    def test_it_publishes_what_is_due_in_order_of_age(self) -> None:
        young, old = record(State.WAITING, -timedelta(seconds=5)), record(State.WAITING)
        record(State.WAITING, timedelta(seconds=5))

        self.assertEqual(sweeper.sweep(app), 2)
        self.assertEqual(self.ids(), [str(old.pk), str(young.pk)])
        self.assertEqual(sweeper.sweep(app), 0)

    def all_are_due_again(self) -> None:
        TaskRecord.objects.update(due_at=now() - LONG_AGO)

    def test_what_still_waits_in_its_queue_is_not_published_again(self) -> None:
        waiting = [record(State.WAITING) for _ in range(3)]
        for _ in range(4):
            sweeper.sweep(app)
            self.all_are_due_again()

        self.assertEqual(self.ids(), [str(row.pk) for row in waiting])
        self.assertEqual(set(TaskRecord.objects.values_list("publishes", flat=True)), {0})

    def test_what_was_taken_from_its_queue_by_nobody_who_lives_is_published_again(self) -> None:
        first = record(State.WAITING)
        sweeper.sweep(app)
        second = record(State.WAITING)
        sweeper.sweep(app)
        app.amqp.queues["email"](self.connection.default_channel).get(no_ack=True)
        self.all_are_due_again()
        with self.assertLogs("core.durable", "WARNING"):
            sweeper.sweep(app)

        self.assertEqual(self.ids(), [str(second.pk), str(first.pk)])

    def test_what_was_lost_is_found_also_behind_others_that_were_sent_at_the_same_time(self) -> None:
        rows = [record(State.WAITING) for _ in range(4)]
        sweeper.sweep(app)
        waiting = self.fetch("email")
        for message in (waiting[0], waiting[2]):
            self.connection.Producer().publish(message.decode(), routing_key="email", headers=message.headers)
        self.all_are_due_again()
        with self.assertLogs("core.durable", "WARNING"):
            sweeper.sweep(app)

        self.assertEqual(Counter(self.ids()), Counter(str(row.pk) for row in rows))

    def test_what_was_fetched_a_moment_ago_is_left_until_its_worker_may_have_renewed_its_lease(self) -> None:
        fetched = record(State.PUBLISHED)
        with mock.patch.object(Queues, "find_fetched", return_value={str(fetched.pk)}):
            sweeper.sweep(app)

        fetched.refresh_from_db()
        self.assertEqual((self.ids(), fetched.publishes), ([], 0))
        self.assertLess(fetched.due_at, now() + timedelta(seconds=16))

    def test_what_is_taken_up_while_it_looks_is_not_missing(self) -> None:
        def take_up(queues: Queues, row: TaskRecord) -> bool:
            TaskRecord.objects.filter(pk=row.pk).update(state=State.RUNNING)
            return False

        record(State.PUBLISHED)
        with mock.patch.object(Queues, "may_hold", take_up):
            sweeper.sweep(app)

        self.assertEqual((self.ids(), TaskRecord.objects.get().publishes), ([], 0))

    def test_it_looks_again_in_half_a_minute_however_often_a_message_was_lost(self) -> None:
        lost = record(State.WAITING)
        waits = []
        for _ in range(6):
            sweeper.sweep(app)
            self.fetch("email")
            lost.refresh_from_db()
            waits.append(round((lost.due_at - now()).total_seconds()))
            self.all_are_due_again()

        self.assertEqual(waits, [30] * 6)
        self.assertEqual(lost.publishes, 5)

    def test_a_queue_whose_oldest_message_does_not_tell_its_age_is_left_to_its_worker(self) -> None:
        record(State.PUBLISHED, sent_at=now())
        self.connection.Producer().publish([[], {}, {}], routing_key="email", headers={"task": "t", "id": "by-hand"})
        sweeper.sweep(app)

        self.assertEqual(self.ids(), ["by-hand"])

    def test_a_letter_that_still_waits_is_not_sent_again(self) -> None:
        record(State.RUNNING, attempts=5, losses=4)
        for _ in range(3):
            sweeper.sweep(app)
            self.all_are_due_again()

        self.assertEqual(len(self.fetch("dead_letter")), 1)

    def test_it_leaves_done_and_leased_records_alone(self) -> None:
        record(State.RUNNING, timedelta(seconds=20))
        record(State.DONE, closed_at=now())
        record(State.DEAD, closed_at=now())

        self.assertEqual(sweeper.sweep(app), 0)

    def test_a_run_whose_lease_has_ended_is_published_again(self) -> None:
        lost = record(State.RUNNING, attempts=1)

        with self.assertLogs("core.durable", "WARNING"):
            sweeper.sweep(app)

        lost.refresh_from_db()
        self.assertEqual((lost.state, lost.losses), (State.PUBLISHED, 1))
        self.assertEqual(self.ids(), [str(lost.pk)])

    def test_what_keeps_killing_its_worker_is_a_dead_letter(self) -> None:
        poison = record(State.RUNNING, attempts=5, losses=4, worker="email@a vm/1/x")
        with self.assertLogs("core.durable", "WARNING"):
            sweeper.sweep(app)
        self.work()

        letter = DeadLetter.objects.get()
        self.assertEqual((letter.pk, letter.reason), (str(poison.pk), "worker lost too often"))
        self.assertEqual((letter.attempts, letter.worker), (5, "email@a vm/1/x"))

    def test_a_letter_that_the_broker_lost_is_sent_again(self) -> None:
        failed = record(State.RUNNING, attempts=5, losses=4)
        with self.assertLogs("core.durable", "WARNING"):
            sweeper.sweep(app)
        self.fetch("dead_letter")
        TaskRecord.objects.update(due_at=now() - LONG_AGO)
        sweeper.sweep(app)
        self.work()

        self.assertEqual(DeadLetter.objects.get().pk, str(failed.pk))

    def test_what_could_not_be_published_waits_its_turn_by_age(self) -> None:
        waiting = record(State.WAITING)

        # Celery raises an error of its own for what Redis' client raises.
        for error in (OSError, BrokerError):
            with self.subTest(error), mock.patch.object(outbox, "send", side_effect=error), self.assertRaises(error):
                sweeper.sweep(app)
            waiting.refresh_from_db()
            self.assertEqual((waiting.state, waiting.due_at), (State.WAITING, waiting.created_at))

    def test_what_no_broker_would_take_is_a_dead_letter_and_stands_in_nobodys_way(self) -> None:
        options = {"serializer": "none-of-that-name"}
        refused = record(State.WAITING, payload=outbox.dump([], {"user_id": 0, "login_url": URL}, options))
        other = record(State.WAITING, -timedelta(seconds=5))
        with self.assertLogs("core.durable", "ERROR"):
            sweeper.sweep(app)

        self.assertEqual(self.ids(), [str(other.pk)])
        sweeper.sweep(app)
        self.work()
        self.assertEqual(DeadLetter.objects.get().pk, str(refused.pk))

    def test_what_cannot_be_read_is_a_dead_letter_and_stands_in_nobodys_way(self) -> None:
        unread = '{"args": [{"__type__": "nope", "__value__": 1}], "kwargs": {}, "options": {}}'
        for fields in ({"state": State.WAITING}, {"state": State.RUNNING, "losses": 4}, {"state": State.PUBLISHED}):
            with self.subTest(fields["state"]):
                unreadable = record(payload=unread, **fields)
                other = record(State.WAITING, -timedelta(seconds=5))
                with self.assertLogs("core.durable", "WARNING"):
                    sweeper.sweep(app)
                self.assertEqual(self.ids(), [str(other.pk)])

                TaskRecord.objects.filter(pk=unreadable.pk).update(due_at=now() - LONG_AGO)
                sweeper.sweep(app)
                self.work()
                self.assertEqual(DeadLetter.objects.get(pk=unreadable.pk).args, [])

    def test_a_task_that_this_release_does_not_know_is_published_for_those_that_do(self) -> None:
        record(State.WAITING, task="core.tasks.of_tomorrow", payload=outbox.dump([1], {}, {"headers": {"a": "b"}}))
        sweeper.sweep(app)

        (message,) = self.fetch("email")
        self.assertEqual((message.headers["task"], message.headers["a"]), ("core.tasks.of_tomorrow", "b"))


class LossTests(DurableCase):
    """The broker's side is played here; tests/integration has the real one."""

    def setUp(self) -> None:
        super().setUp()
        self.server = mock.Mock()
        self.server.info.return_value = {"run_id": "second"}
        transport = SimpleNamespace(driver_type="redis")
        self.broker = SimpleNamespace(transport=transport, default_channel=SimpleNamespace(client=self.server))
        self.published = record(State.PUBLISHED, LONG_AGO)

    def is_due(self) -> bool:
        sweeper.notice_loss(cast(Connection, self.broker))
        self.published.refresh_from_db()
        return self.published.state == State.WAITING and self.published.due_at <= now()

    def test_a_server_that_was_told_everything_is_left_in_peace(self) -> None:
        self.server.get.return_value = b"second"

        self.assertFalse(self.is_due())
        self.server.set.assert_not_called()

    def test_what_another_sweeper_has_sent_meanwhile_is_not_sent_again(self) -> None:
        def send_again(key: str) -> bytes:
            TaskRecord.objects.update(sent_at=now())
            return b"first"

        self.server.get.side_effect = send_again
        with self.assertLogs("core.durable", "WARNING"):
            self.assertFalse(self.is_due())

    def test_another_server_or_an_empty_one_is_told_everything(self) -> None:
        for known in (b"first", None):
            self.server.get.return_value = known
            with self.subTest(known), self.assertLogs("core.durable", "WARNING"):
                self.assertTrue(self.is_due())
                self.server.set.assert_called_with(sweeper.MARK, b"second")
