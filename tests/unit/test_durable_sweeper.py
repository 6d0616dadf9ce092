import os
import select
import signal
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock
from uuid import uuid4

from celery.exceptions import TimeLimitExceeded, WorkerLostError
from celery.worker import state as worker_state
from django.db import OperationalError
from django.db.models import F
from django.test import TestCase
from django.utils.timezone import now
from kombu import Connection
from kombu.exceptions import OperationalError as BrokerError
from kombu.transport import memory
from kombu.utils.limits import TokenBucket

from config.celery import app
from core.broker import FIRST
from core.durable import identity, keeper, outbox, sweeper
from core.durable.execution import LEASE
from core.durable.identity import IDENTITY
from core.durable.keeper import Keeper, KeeperStep
from core.durable.leases import held, renew
from core.durable.queues import MOST, Queues
from core.models import DeadLetter, TaskRecord
from core.tasks import cleanup_expired_tokens, send_welcome_email
from tests.unit.durable import DurableCase

State = TaskRecord.State
URL = "https://example.org/accounts/login/"
LONG_AGO = timedelta(hours=1)


def record(state: str, due: timedelta = -LONG_AGO, **fields: Any) -> TaskRecord:
    values = {
        "id": uuid4(),
        "task": "core.tasks.send_welcome_email",
        "queue": "email",
        "payload": outbox.dump([], {"user_id": 0, "login_url": URL}, {}),
        "created_at": now() - LONG_AGO,
        "due_at": now() + due,
        **fields,
    }
    return TaskRecord.objects.create(state=state, **values)


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


class QueueTests(DurableCase):
    """Two sweepers each stamp a batch, then send it: in the queue the batches are mixed."""

    def setUp(self) -> None:
        super().setUp()
        self.one, self.other = self.sent(0, 3), self.sent(0.05, 3)
        self.mixed = [row for pair in zip(self.one, self.other, strict=True) for row in pair]

    def sent(self, later: float, count: int) -> list[TaskRecord]:
        at = now() + timedelta(seconds=later)
        return [record(State.PUBLISHED, sent_at=at) for _ in range(count)]

    def missing(self, waiting: list[TaskRecord]) -> list[TaskRecord]:
        for row in waiting:
            outbox.send(app, row)
        queues = Queues(self.connection, 2)
        return [row for row in self.mixed if not queues.may_hold(row)]

    def test_none_of_two_mixed_batches_is_missing(self) -> None:
        self.assertEqual(self.missing(self.mixed), [])

    def test_none_is_missing_when_the_oldest_is_of_the_later_batch(self) -> None:
        self.assertEqual(self.missing(self.mixed[1:]), self.mixed[:1])

    def test_what_is_missing_from_them_is_found(self) -> None:
        self.assertEqual(self.missing([row for row in self.mixed if row != self.one[1]]), [self.one[1]])

    def test_nothing_is_missing_while_more_waits_than_is_read(self) -> None:
        self.assertEqual(self.missing(self.mixed[2:] + self.sent(0.1, 2 * MOST)), [])

    def test_what_was_sent_long_after_it_need_not_be_read(self) -> None:
        self.assertEqual(self.missing([*self.mixed[2:], *self.sent(61, 2 * MOST)]), self.mixed[:1])


def put_as_in_redis(channel: Any, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
    waiting = channel._queue_for(queue).queue
    (waiting.appendleft if message["headers"].get(FIRST) else waiting.append)(message)


class PoisonTests(DurableCase):
    """Workers are played that fetch four calls in turn, run one at a time, and end with all that they have fetched."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.object(memory.Channel, "_put", put_as_in_redis))
        rows = [record(State.WAITING, -timedelta(seconds=60 - number)) for number in range(6)]
        self.poison = str(rows[2].pk)

    def live(self, ended_by_reading: bool) -> None:
        queue = app.amqp.queues["email"](self.connection.default_channel)
        fetched: list[str] = []
        while len(fetched) < 4 and (message := queue.get(no_ack=True)):
            fetched.append(message.headers["id"])
            if ended_by_reading and fetched[-1] == self.poison:
                self.claim(*fetched[:-1][:1])
                return
        for key in fetched:
            self.claim(key)
            if key == self.poison:
                return
            TaskRecord.objects.filter(pk=key).update(state=State.DONE, closed_at=now())

    def claim(self, *keys: str) -> None:
        claimed = TaskRecord.objects.filter(pk__in=keys)
        claimed.update(state=State.RUNNING, attempts=F("attempts") + 1, publishes=0)

    def live_until_there_is_a_letter(self, ended_by_reading: bool) -> DeadLetter:
        with self.assertLogs("core.durable", "WARNING"):
            for _ in range(25):
                TaskRecord.objects.filter(closed_at=None).update(due_at=now() - LONG_AGO)
                sweeper.sweep(app)
                self.live(ended_by_reading)

                for message in self.fetch("dead_letter"):
                    self.execute(message)
        return DeadLetter.objects.get()

    def assert_others_are_unharmed(self) -> None:
        others = TaskRecord.objects.exclude(pk=self.poison)
        self.assertLess(max(others.values_list("losses", flat=True)), 3)
        self.assertLess(max(others.values_list("publishes", flat=True)), 5)

    def test_what_ends_a_worker_before_it_is_claimed_is_a_dead_letter(self) -> None:
        letter = self.live_until_there_is_a_letter(ended_by_reading=True)

        self.assertEqual((letter.pk, letter.reason, letter.attempts), (self.poison, "message lost too often", 0))
        self.assert_others_are_unharmed()

    def test_what_ends_a_worker_while_it_runs_harms_nothing_that_was_fetched_beside_it(self) -> None:
        letter = self.live_until_there_is_a_letter(ended_by_reading=False)

        self.assertEqual((letter.pk, letter.reason, letter.attempts), (self.poison, "worker lost too often", 5))
        self.assert_others_are_unharmed()


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


class LeaseTests(TestCase):
    def renewed(self, row: TaskRecord, limit: int = 1800) -> bool:
        renew({limit: [row.pk]})
        row.refresh_from_db()
        return row.due_at > now() + LEASE / 2

    def test_what_this_worker_has_fetched_or_runs_is_renewed(self) -> None:
        mine = record(State.RUNNING, worker=f"email@a {IDENTITY}", started_at=now())

        self.assertTrue(self.renewed(mine))
        self.assertTrue(self.renewed(record(State.PUBLISHED)))

    def test_what_another_worker_or_an_earlier_life_ran_is_not(self) -> None:
        self.assertFalse(self.renewed(record(State.RUNNING, worker="email@a vm/1/x", started_at=now())))

    def test_what_runs_longer_than_any_task_may_is_not(self) -> None:
        stuck = record(State.RUNNING, worker=f"email@a {IDENTITY}", started_at=now() - timedelta(seconds=1801))

        self.assertFalse(self.renewed(stuck))
        self.assertTrue(self.renewed(stuck, limit=7200))

    def test_what_waits_for_its_retry_is_not(self) -> None:
        self.assertFalse(self.renewed(record(State.WAITING)))


class KeeperTests(DurableCase):
    def setUp(self) -> None:
        super().setUp()
        self.buckets: dict[str, Any] = {"core.tasks.without_a_limit": None}
        self.worker = SimpleNamespace(app=app, consumer=SimpleNamespace(task_buckets=self.buckets))
        self.step = KeeperStep(self.worker)
        self.step.keeper = self.keeper = Keeper(self.worker)
        self.clock = self.enterContext(mock.patch.object(keeper, "time"))
        self.clock.monotonic.return_value = 1000.0

    def request(self, row: TaskRecord) -> SimpleNamespace:
        return SimpleNamespace(id=str(row.pk), task=send_welcome_email, time_limits=(None, None))

    def hold(self, row: TaskRecord) -> None:
        self.enterContext(mock.patch.object(worker_state, "reserved_requests", [self.request(row)]))

    def pass_time(self, seconds: float) -> None:
        self.clock.monotonic.return_value += seconds

    def test_it_renews_before_it_sweeps(self) -> None:
        fetched, other = record(State.PUBLISHED), record(State.WAITING)
        self.hold(fetched)
        for seconds in (0, 1, keeper.EVERY):
            self.pass_time(seconds)
            self.keeper.tick()
            self.assertEqual(self.fetch("email"), [])

        self.pass_time(keeper.EVERY)
        self.keeper.tick()
        self.assertEqual([message.headers["id"] for message in self.fetch("email")], [str(other.pk)])

    def test_after_an_outage_of_the_database_others_renew_before_it_sweeps(self) -> None:
        theirs = record(State.PUBLISHED)
        self.keeper.tick()
        self.pass_time(keeper.SETTLING)
        away = mock.patch.object(keeper, "renew", side_effect=OperationalError)
        with away, mock.patch.object(keeper, "connection"), self.assertLogs("core.durable"):
            self.keeper.tick()
        for seconds in (1, 1, 7.6):
            self.pass_time(seconds)
            self.keeper.tick()
        self.buckets[theirs.task] = bucket = TokenBucket(1)
        bucket.add((self.request(theirs), 1))
        Keeper(self.worker).tick()
        self.buckets.clear()
        self.pass_time(keeper.SETTLING)
        self.keeper.tick()

        self.assertEqual(self.fetch("email"), [])

    def test_it_goes_on_without_the_broker(self) -> None:
        self.keeper.renewing_since = -keeper.SETTLING
        with mock.patch.object(keeper, "sweep", side_effect=OSError), self.assertLogs("core.durable"):
            self.assertEqual(self.keeper.tick(), keeper.EVERY)

    def test_it_looks_again_when_something_is_due(self) -> None:
        record(State.WAITING, timedelta(seconds=3))

        self.assertAlmostEqual(self.keeper.tick(), 3, delta=0.5)

    def test_a_lost_process_ends_its_leases_at_once(self) -> None:
        running = record(State.RUNNING, timedelta(seconds=20), worker=f"email@a {IDENTITY}", started_at=now())
        self.step.on_failure(send_welcome_email, str(running.pk), WorkerLostError())
        self.step.on_failure(cleanup_expired_tokens, str(uuid4()), WorkerLostError())
        self.keeper.tick()

        running.refresh_from_db()
        self.assertLessEqual(running.due_at, now())
        self.assertEqual(self.keeper.lost, set())

    def test_what_was_killed_at_its_time_limit_is_a_dead_letter_at_once(self) -> None:
        running = record(State.RUNNING, timedelta(seconds=20), worker=f"email@a {IDENTITY}", attempts=1)
        for _ in range(2):
            self.step.on_failure(send_welcome_email, str(running.pk), TimeLimitExceeded(1800))
        self.keeper.tick()
        self.keeper.tick()
        self.work()

        letter = DeadLetter.objects.get()
        self.assertEqual((letter.pk, letter.reason, letter.attempts), (str(running.pk), "time limit exceeded", 1))
        self.assertEqual(letter.exception, "TimeLimitExceeded: TimeLimitExceeded(1800,)")
        self.assertEqual(self.keeper.too_long, {})

    def test_what_its_rate_limit_holds_back_is_renewed(self) -> None:
        limited = record(State.PUBLISHED)
        self.buckets[limited.task] = bucket = TokenBucket(1)
        bucket.add((self.request(limited), 1))
        self.keeper.tick()

        limited.refresh_from_db()
        self.assertGreater(limited.due_at, now())

    def test_what_was_revoked_is_closed(self) -> None:
        revoked, cut_off = record(State.PUBLISHED), record(State.PUBLISHED)
        self.step.on_revoked(send_welcome_email, SimpleNamespace(id=str(revoked.pk)))
        self.step.on_revoked(send_welcome_email, SimpleNamespace(id=str(cut_off.pk)), terminated=True)
        self.keeper.tick()

        done = TaskRecord.objects.filter(state=State.DONE).values_list("pk", flat=True)
        self.assertEqual(list(done), [revoked.pk])

    def test_it_stops_sweeping_when_its_worker_stops_but_renews_what_still_runs(self) -> None:
        self.keeper.renewing_since = -keeper.SETTLING
        fetched, waiting = record(State.PUBLISHED), record(State.WAITING)
        self.hold(fetched)
        self.step.stop(None)
        self.keeper.tick()

        self.assertEqual(self.fetch("email"), [])
        fetched.refresh_from_db()
        waiting.refresh_from_db()
        self.assertGreater(fetched.due_at, now())
        self.assertLess(waiting.due_at, now())

    def test_a_set_that_changes_meanwhile_is_read_again(self) -> None:
        key = uuid4()
        request = SimpleNamespace(id=str(key), task=send_welcome_email, time_limits=(60, None))
        changing = mock.MagicMock()
        changing.__iter__.side_effect = [RuntimeError, iter([request])]
        with mock.patch.object(worker_state, "reserved_requests", changing):
            self.assertEqual(held(self.worker), {60: [key]})


class OrphanTests(TestCase):
    def test_a_workers_process_dies_with_it(self) -> None:
        reader, writer = os.pipe()
        worker = os.fork()
        if not worker:
            identity.WORKER_PID = os.getpid()
            if not os.fork():
                identity.die_with_the_worker()
                os.write(writer, b"%d" % os.getpid())
                signal.pause()
            signal.pause()
        os.close(writer)
        child = int(os.read(reader, 20))
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)

        # Only the child still holds the other end, which its death makes readable.
        ended, _, _ = select.select([reader], [], [], 5)
        if not ended:
            os.kill(child, signal.SIGKILL)
        os.close(reader)
        self.assertTrue(ended, "the process lives on")
