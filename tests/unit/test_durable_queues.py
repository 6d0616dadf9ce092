from datetime import timedelta
from unittest import mock

from django.utils.timezone import now

from config.celery import app
from core.broker import Channel
from core.durable import outbox
from core.durable.queues import MOST, Queues
from core.durable.sweeper import find_missing
from core.models import TaskRecord
from tests.unit.durable import DurableCase, State, record


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


class FetchedTests(DurableCase):
    def test_one_that_a_worker_is_about_to_note_is_not_missing(self) -> None:
        """It is in no queue any more, and will be known to be fetched in a moment."""
        row = record(State.PUBLISHED, sent_at=now())
        channel = mock.Mock(spec=Channel)
        channel.oldest.return_value = channel.fetched_since.return_value = []

        def note(seconds: float) -> None:
            channel.fetched_since.return_value = [{"headers": {"id": str(row.pk)}}]

        with mock.patch("core.durable.queues.time.sleep", side_effect=note):
            self.assertEqual(find_missing(Queues(mock.Mock(default_channel=channel), 2), [row]), [])
        channel.fetched_since.return_value = []
        self.assertEqual(find_missing(Queues(mock.Mock(default_channel=channel), 2), [row]), [row])
