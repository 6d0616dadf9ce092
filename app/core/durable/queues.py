"""Whether a record's message still waits in its queue. First in, first out: the oldest message there tells."""

import time
from functools import cache
from math import inf
from typing import Any

from kombu import Connection

from core import broker
from core.durable import letters, outbox
from core.models import TaskRecord

# Seconds. A sweeper dates a batch and then sends it: what others date and send meanwhile gets in between.
SPREAD = 60
# Seconds. A worker that lives has renewed the lease of what it has fetched by then.
RENEWED = 15
# Seconds. A worker takes a message out of its queue and notes then that it has it: in between it is nowhere.
ON_ITS_WAY = 0.2
# Batches: more than that is not read of one queue.
MOST = 20
Message = dict[str, Any]
State = TaskRecord.State


class Queues:
    """What one sweep finds waiting. Each queue is looked at once.

    `batch` is how many messages may have been sent at the same time.
    """

    def __init__(self, connection: Connection, batch: int) -> None:
        self.channel: Any = connection.default_channel
        self.batch = batch
        self.since = cache(self.look_since)
        self.nearby = cache(self.find_nearby)
        self.fetched = cache(self.find_fetched)

    def may_hold(self, record: TaskRecord) -> bool:
        """No when the queue is empty, or its oldest message is no older and this one is not near it."""
        queue = place(record)
        since, sent = self.since(*queue), sent_at(record)
        if since is None or since < sent:
            return True
        if since > sent + SPREAD:
            return False
        nearby = self.nearby(*queue)
        return nearby is None or message_id(record) in nearby

    def was_just_fetched(self, record: TaskRecord) -> bool:
        return message_id(record) in self.fetched()

    def find_fetched(self) -> set[str]:
        if not isinstance(self.channel, broker.Channel):
            return set()
        time.sleep(ON_ITS_WAY)
        return {message_id_of(message) for message in self.channel.fetched_since(time.time() - RENEWED)}

    def look_since(self, queue: str, priority: int) -> float | None:
        """When the oldest message was sent: never where there is none, None where it does not tell."""
        oldest = self.look(queue, priority, 1)
        return told(oldest[0]) if oldest else inf

    def find_nearby(self, queue: str, priority: int) -> set[str] | None:
        """The ids of at least what was sent within SPREAD of the oldest; None when that is more than is read."""
        for count in (self.batch, MOST * self.batch):
            messages = self.look(queue, priority, count)
            if len(messages) < count or is_later(messages):
                return {message_id_of(message) for message in messages}
        return None

    def look(self, queue: str, priority: int, count: int) -> list[Message]:
        if isinstance(self.channel, broker.Channel):
            return self.channel.oldest(queue, priority, count)
        return list(self.channel._queue_for(queue).queue)[:count]


def is_later(messages: list[Message]) -> bool:
    """Whether the last was sent more than SPREAD after the first."""
    first, last = told(messages[0]), told(messages[-1])
    return first is not None and last is not None and last > first + SPREAD


def told(message: Message) -> float | None:
    """When it was sent, by its headers, which may be anybody's."""
    sent = headers(message).get(outbox.SENT_AT)
    return sent if isinstance(sent, int | float) else None


def message_id_of(message: Message) -> str:
    return str(headers(message).get("id"))


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
