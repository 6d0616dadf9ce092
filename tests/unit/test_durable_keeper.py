import os
import select
import signal
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock
from uuid import uuid4

from celery.exceptions import TimeLimitExceeded, WorkerLostError
from celery.worker import state as worker_state
from django.db import OperationalError
from django.test import TestCase
from django.utils.timezone import now
from kombu.utils.limits import TokenBucket

from config.celery import app
from core.durable import identity, keeper
from core.durable.identity import IDENTITY
from core.durable.keeper import Keeper, KeeperStep
from core.durable.leases import held, renew
from core.durable.statements import LEASE
from core.models import DeadLetter, TaskRecord
from core.tasks import cleanup_expired_tokens, send_welcome_email
from tests.unit.durable import DurableCase, State, record


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
