"""Whether a record's message still waits in its queue. First in, first out: the oldest message there tells."""

from functools import cache
from typing import Any

from kombu import Connection

from core import broker
from core.durable import letters, outbox
from core.models import TaskRecord

Message = dict[str, Any]
State = TaskRecord.State


class Queues:
    """What one sweep finds waiting. Each queue is looked at once.

    `batch` is how many messages may have been sent at the same time.
    """

    def __init__(self, connection: Connection, batch: int) -> None:
        self.channel: Any = connection.default_channel
        self.batch = batch
        self.oldest = cache(self.look)

    def may_hold(self, record: TaskRecord) -> bool:
        """No when the queue is empty or the oldest message there was sent after this one."""
        queue = place(record)
        oldest = self.oldest(*queue, 1)
        if not oldest or is_of(oldest[0], record):
            return bool(oldest)
        since, sent = headers(oldest[0]).get(outbox.SENT_AT), sent_at(record)
        if since == sent:
            return any(is_of(message, record) for message in self.oldest(*queue, self.batch))
        return since is None or since < sent

    def look(self, queue: str, priority: int, count: int) -> list[Message]:
        if isinstance(self.channel, broker.Channel):
            return self.channel.oldest(queue, priority, count)
        return list(self.channel._queue_for(queue).queue)[:count]


def is_of(message: Message, record: TaskRecord) -> bool:
    return bool(headers(message).get("id") == message_id(record))


def headers(message: Message) -> dict[str, Any]:
    return message.get("headers") or {}


def message_id(record: TaskRecord) -> str:
    return letters.message_id(record.failure or {}) if record.state == State.FAILED else str(record.pk)


def place(record: TaskRecord) -> tuple[str, int]:
    if record.state == State.FAILED:
        return letters.QUEUE, 0
    return record.queue, outbox.read(record)[2].get("priority") or 0


def sent_at(record: TaskRecord) -> float:
    if record.state == State.FAILED:
        return letters.written_at(record.failure or {})
    return record.sent_at.timestamp() if record.sent_at else 0.0
