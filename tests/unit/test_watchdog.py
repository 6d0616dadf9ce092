import os
import socket
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from celery.concurrency.thread import TaskPool
from celery.worker import state
from django.test import SimpleTestCase

from core import watchdog
from core.watchdog import PATIENCE, Watch, WatchStep, notify


class NotifyTests(SimpleTestCase):
    def test_it_speaks_to_systemds_socket(self) -> None:
        path = str(Path(self.enterContext(tempfile.TemporaryDirectory())) / "notify")
        systemd = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        for address in (path, f"\0{path}"):
            with self.subTest(address=address):
                systemd = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
                systemd.bind(address)
                with mock.patch.dict(os.environ, {"NOTIFY_SOCKET": address.replace("\0", "@")}):
                    notify("READY=1")

                self.assertEqual(systemd.recv(100), b"READY=1")

    def test_it_says_nothing_where_nobody_listens(self) -> None:
        with mock.patch.dict(os.environ, clear=True), mock.patch("socket.socket") as made:
            notify("READY=1")

        made.assert_not_called()


class WatchTests(SimpleTestCase):
    """The clock stands at `self.time`; the watch does not run, it is asked."""

    def setUp(self) -> None:
        self.time, self.room, self.waiting, self.queue = 1000.0, True, 5, "email"
        self.enterContext(mock.patch("core.watchdog.time.monotonic", side_effect=lambda: self.time))
        self.enterContext(mock.patch.object(state, "total_count", Counter()))
        self.active: set[int] = self.enterContext(mock.patch.object(state, "active_requests", set()))
        self.reserved: set[int] = self.enterContext(mock.patch.object(state, "reserved_requests", set()))
        client = SimpleNamespace(llen=lambda name: self.waiting if name == self.queue else 0)
        self.enterContext(mock.patch.object(watchdog, "redis_client", return_value=client))
        self.watch = Watch(15)
        self.watch.is_alive = lambda: True  # type: ignore[method-assign]
        self.watch.look_at(self.consumer())

    def consumer(self) -> Any:
        qos = SimpleNamespace(can_consume=lambda: self.room)
        tasks = SimpleNamespace(channel=SimpleNamespace(qos=qos), queues=[SimpleNamespace(name="email")])
        return SimpleNamespace(timer=mock.Mock(), task_consumer=tasks, pool=SimpleNamespace(num_processes=2))

    def later(self, turning: bool = True) -> str:
        """The fault after a bit more than the patience, asked several times."""
        self.watch.fault()
        for _ in range(5):
            self.time += PATIENCE / 4
            if turning:
                self.watch.note_turn()
            fault = self.watch.fault()
        return fault

    def test_messages_that_wait_for_a_worker_with_room_are_a_fault(self) -> None:
        self.assertIn("begun none", self.later())

    def test_so_are_those_of_another_priority(self) -> None:
        self.queue = "email\x06\x163"

        self.assertIn("begun none", self.later())

    def test_an_empty_queue_is_none(self) -> None:
        self.waiting = 0

        self.assertEqual(self.later(), "")

    def test_a_worker_that_is_full_is_none(self) -> None:
        self.room = False

        self.assertEqual(self.later(), "")

    def test_one_whose_processes_take_up_nothing_is_one(self) -> None:
        self.room = False
        self.active |= {1}
        self.reserved |= {1, 2, 3}

        self.assertIn("begun none", self.later())

    def test_one_whose_processes_are_all_busy_is_none(self) -> None:
        self.room = False
        self.active |= {1, 2}
        self.reserved |= {1, 2, 3}

        self.assertEqual(self.later(), "")

    def test_one_whose_threads_all_run_beyond_their_limits_is_one(self) -> None:
        pool: Any = TaskPool.__new__(TaskPool)
        pool.limit = 2
        consumer = self.consumer()
        consumer.pool, self.room = pool, False
        self.watch.look_at(consumer)
        late, new = (SimpleNamespace(time_start=time.time() - 10, time_limits=(limit, None)) for limit in (5, 60))

        for running, found in (([late, new], False), ([late, late], True)):
            with self.subTest(found), mock.patch.object(state, "active_requests", running):
                self.assertEqual("time limit" in self.watch.fault(), found)

    def test_one_that_begins_tasks_is_none(self) -> None:
        self.later()
        state.total_count["core.tasks.any"] += 1

        self.assertEqual(self.watch.fault(), "")

    def test_an_event_loop_that_stands_still_is_a_fault(self) -> None:
        self.waiting = 0

        self.assertIn("event loop", self.later(turning=False))

    def test_a_worker_that_waits_for_the_broker_has_no_fault(self) -> None:
        self.watch.look_away()

        self.assertEqual(self.later(turning=False), "")

    def test_a_broker_that_cannot_be_asked_has_none_waiting(self) -> None:
        with mock.patch.object(watchdog, "redis_client", side_effect=ConnectionError):
            self.assertEqual(self.later(), "")

    def test_systemd_hears_of_a_worker_without_fault_alone(self) -> None:
        for fault, calls in (("", [mock.call("WATCHDOG=1")]), ("deaf", [])):
            self.watch.over = mock.Mock(wait=mock.Mock(side_effect=[False, True]))
            with (
                self.subTest(fault=fault),
                mock.patch.object(self.watch, "fault", lambda fault=fault: fault),
                mock.patch.object(watchdog, "notify") as notified,
                mock.patch.object(watchdog.log, "error"),
            ):
                self.watch.run()

            self.assertEqual(notified.mock_calls, calls)


class WatchStepTests(SimpleTestCase):
    def test_it_watches_where_systemd_asks_for_it(self) -> None:
        for environment, watches in (({"WATCHDOG_USEC": "60000000"}, True), ({}, False)):
            with self.subTest(environment=environment), mock.patch.dict(os.environ, environment, clear=True):
                step, consumer = WatchStep(mock.Mock()), mock.Mock()
                with mock.patch.object(Watch, "start") as started:
                    step.start(consumer)
                    step.stop(consumer)

                self.assertEqual(started.called, watches)
                self.assertEqual(consumer.timer.call_repeatedly.called, watches)
