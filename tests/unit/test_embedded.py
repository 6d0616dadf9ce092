"""The worker that development carries inside runserver, and the examples in it; memory:// needs no server."""

import time
from queue import Queue
from threading import Thread
from unittest import mock

from celery.signals import task_success
from django.core.management import call_command
from django.test import SimpleTestCase

from config import celery_app
from core import embedded, examples


class EmbeddedWorkerTests(SimpleTestCase):
    thread: Thread

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        celery_app.conf.task_always_eager = False
        cls.addClassCleanup(setattr, celery_app.conf, "task_always_eager", True)
        # The worker outlives these tests, and with them the database that its keeper would look into.
        cls.enterClassContext(mock.patch("core.durable.keeper.Keeper.run"))
        cls.thread = embedded.start_worker()

    def test_it_runs_a_chain(self) -> None:
        self.assertEqual(examples.one_after_the_other(1, 2, 3).get(timeout=10), 6)

    def test_it_runs_a_group(self) -> None:
        self.assertEqual(examples.side_by_side([(1, 2), (3, 4)]).get(timeout=10), [3, 7])

    def test_it_runs_batches(self) -> None:
        self.assertEqual(examples.in_batches(list(range(10)), 3).get(timeout=10), 45)

    def test_it_keeps_a_rate_limit(self) -> None:
        start = time.monotonic()

        for result in [examples.call_slow_service.delay(number) for number in range(6)]:
            result.get(timeout=10)

        self.assertGreaterEqual(time.monotonic() - start, 0.8)

    def test_it_runs_what_beat_sends(self) -> None:
        entry = {"task": "core.examples.add", "args": (20, 3), "schedule": 0.1}
        self.enterContext(mock.patch.dict(celery_app.conf.beat_schedule, {"often": entry}))
        done: Queue[int] = Queue()
        note = lambda result, **kwargs: done.put(result)  # noqa: E731
        task_success.connect(note)
        self.addCleanup(task_success.disconnect, note)
        beat = embedded.start_beat()
        self.addCleanup(beat.stop)

        self.assertEqual(done.get(timeout=10), 23)

    def test_it_does_not_keep_the_process_alive(self) -> None:
        self.assertTrue(self.thread.daemon)


class RunserverTests(SimpleTestCase):
    def served(self, broker: str) -> mock.Mock:
        with (
            self.settings(CELERY_BROKER_URL=broker),
            mock.patch("core.embedded.start_worker") as start,
            mock.patch("core.embedded.start_beat") as beat,
            mock.patch("django.core.management.commands.runserver.Command.inner_run"),
        ):
            call_command("runserver", "--noreload", stdout=mock.Mock())
        self.assertEqual(beat.called, start.called)
        return start

    def test_it_carries_a_worker_on_memory_alone(self) -> None:
        self.served("memory://").assert_called_once_with()
        self.served("redis://localhost/0").assert_not_called()
