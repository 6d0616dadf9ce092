from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import SimpleNamespace
from typing import Any
from unittest import mock

from celery.concurrency.thread import TaskPool
from celery.worker import state
from django.test import SimpleTestCase

from core.draining import DrainingConsumer, LeaveStep, waiting


class Ended(BaseException):
    """In place of the process's end."""


class ThreadsTests(SimpleTestCase):
    def setUp(self) -> None:
        self.running, self.fetched, ended = (mock.Mock(id=name) for name in ("running", "fetched", "ended"))
        self.enterContext(mock.patch.object(state, "reserved_requests", {self.running, self.fetched, ended}))
        known = {"running": self.running, "fetched": self.fetched}
        self.enterContext(mock.patch.object(state, "requests", known))
        self.enterContext(mock.patch.object(state, "active_requests", {self.running}))
        self.enterContext(mock.patch("os._exit", side_effect=Ended))
        pool: Any = TaskPool.__new__(TaskPool)
        pool.executor = ThreadPoolExecutor(1)
        self.pool: Any = pool
        self.consumer: Any = DrainingConsumer.__new__(DrainingConsumer)
        self.calls = mock.Mock()
        self.calls.connection.connection_errors = self.calls.connection.channel_errors = ()
        self.consumer.pool, self.consumer.connection, self.consumer.hub = pool, self.calls.connection, self.calls.hub

    def test_what_has_not_begun_waits_and_never_begins(self) -> None:
        end, begun = Event(), Event()
        self.addCleanup(end.set)
        self.pool.executor.submit(end.wait)
        self.pool.executor.submit(begun.set)

        self.assertEqual(waiting(self.pool), [self.fetched])
        end.set()
        self.pool.executor.shutdown()
        self.assertFalse(begun.is_set())

    def test_one_that_drains_and_may_wait_no_longer_gives_back_what_it_runs_and_ends(self) -> None:
        with mock.patch.object(state, "should_stop", 0), self.assertRaises(Ended):
            self.consumer.cancel_active_requests()

        self.assert_closed()

    def test_one_that_is_to_stop_at_once_does_so_after_its_consumer(self) -> None:
        self.consumer.cancel_active_requests()
        with mock.patch.object(self.pool.executor, "shutdown") as shutdown:
            self.pool.stop()
        shutdown.assert_not_called()

        with self.assertRaises(Ended):
            LeaveStep(mock.Mock()).terminate(SimpleNamespace(pool=self.pool, consumer=self.consumer))
        self.assert_closed()

    def assert_closed(self) -> None:
        """The connection last: it gives back what nothing has acknowledged by then."""
        self.assertEqual(self.calls.mock_calls, [mock.call.hub.close(), mock.call.connection.close()])


class ProcessesTests(SimpleTestCase):
    def test_celery_ends_those_itself(self) -> None:
        consumer: Any = DrainingConsumer.__new__(DrainingConsumer)
        consumer.pool = mock.Mock()
        with mock.patch("celery.worker.consumer.Consumer.cancel_active_requests") as cancel:
            consumer.cancel_active_requests()

        cancel.assert_called_once_with()
        LeaveStep(mock.Mock()).terminate(SimpleNamespace(pool=consumer.pool, consumer=None))
