from datetime import timedelta
from typing import Any
from unittest import mock

from django.db.models import F
from django.utils.timezone import now
from kombu.transport import memory

from config.celery import app
from core.broker import FIRST
from core.durable import sweeper
from core.models import DeadLetter, TaskRecord
from tests.unit.durable import LONG_AGO, DurableCase, State, record


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
