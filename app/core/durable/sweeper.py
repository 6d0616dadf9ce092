"""Finds records that nobody looks after, and publishes them again. Any number may run at once."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from celery import Celery
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.timezone import now
from kombu import Connection

from core.broker import AWAY
from core.durable import composing, letters, outbox
from core.durable.queues import RENEWED, Queues
from core.models import TaskRecord

log = logging.getLogger(__name__)
BATCH = 1000
MAX_LOSSES = 5
# More than what is fetched beside a task that ends its worker goes through.
MAX_PUBLISHES = 20
BROKER_TIMEOUT = 2
# In the broker: which life of which server has been told everything. A restart, a fail-over or FLUSHALL changes it.
MARK = "saas:durable:server"
# The rest is fetched for the few that were lost.
TO_PUBLISH = ("task", "queue", "payload", "state", "sent_at", "losses", "publishes", "failure", "request_id")
State = TaskRecord.State


@dataclass
class Batch:
    """Due records, oldest first, by what is to become of them."""

    # Never published, or to be tried again: their turn is behind what waits already.
    new: list[TaskRecord]
    # Their worker is gone, and their turn is now.
    lost: list[TaskRecord]
    # Published, and not taken up: the message still waits, or is lost.
    doubtful: list[TaskRecord]

    @property
    def records(self) -> list[TaskRecord]:
        return [*self.new, *self.lost, *self.doubtful]


def sweep(app: Celery) -> int:
    """Look after one batch of what is due; return its size. Raises when the broker or database is away."""
    with broker(app) as connection:
        notice_loss(connection)
        batch = take_batch()
        publish(app, connection, batch.new, first=batch.lost)
        publish(app, connection, [], first=count_missing(find_missing(Queues(connection, BATCH), batch.doubtful)))
    return len(batch.records)


@contextmanager
def broker(app: Celery) -> Iterator[Connection]:
    """A connection for one sweep, since one that outlives a restart of the broker fails at its next use."""
    timeouts = {"socket_timeout": BROKER_TIMEOUT, "socket_connect_timeout": BROKER_TIMEOUT, "max_retries": 0}
    with app.connection_for_write(transport_options=timeouts, connect_timeout=BROKER_TIMEOUT) as connection:
        connection.connect()
        yield connection


def notice_loss(connection: Connection) -> None:
    """When the broker may have lost messages, let everything published wait for being published, in order of age."""
    if connection.transport.driver_type != "redis":
        return
    channel: Any = connection.default_channel
    client = channel.client
    noticed = now()
    life = client.info("server")["run_id"].encode()
    known = client.get(MARK)
    if known in (life, life.decode()):
        return
    still_open = TaskRecord.objects.filter(closed_at=None)
    still_open.filter(state=State.FAILED).update(due_at=F("created_at"))
    # Not what another sweeper, that has noticed it too, has sent since.
    published = still_open.filter(state=State.PUBLISHED).exclude(sent_at__gt=noticed)
    count = published.update(state=State.WAITING, due_at=F("created_at"))
    client.set(MARK, life)
    log.warning("The broker was restarted or emptied: %s published records are published again", count)


def take_batch() -> Batch:
    """Due records, put off for the time that publishing and taking up needs; SKIP LOCKED shares them out."""
    with transaction.atomic():
        due = TaskRecord.objects.filter(closed_at=None, due_at__lte=Now()).order_by("due_at").only(*TO_PUBLISH)
        records = list(due.select_for_update(skip_locked=True)[:BATCH])
        batch = Batch(
            new=[record for record in records if record.state == State.WAITING],
            lost=[record for record in records if record.state == State.RUNNING],
            doubtful=[record for record in records if record.state in (State.PUBLISHED, State.FAILED)],
        )
        count_losses(batch.lost)
        put_off(batch)
    return batch


def count_losses(records: Iterable[TaskRecord]) -> None:
    """Whose run ended with its worker is tried again, a bounded number of times."""
    for record in records:
        record.losses += 1
        record.state = State.PUBLISHED
        place = record.worker
        log.warning("%s[%s] was lost with its worker %s", record.task, record.pk, place, extra=record.identifiers)
        if record.losses >= MAX_LOSSES:
            record.state = State.FAILED
            record.failure = composing.compose(record, None, letters.WORKER_LOST)
        record.save(update_fields=["losses", "state", "failure"])


def put_off(batch: Batch) -> None:
    sent = now()
    for record in batch.new:
        record.state, record.sent_at = State.PUBLISHED, sent
    later = Now() + outbox.LOOKED_AFTER
    rows(batch.new).update(state=State.PUBLISHED, sent_at=sent, due_at=later)
    rows([*batch.lost, *batch.doubtful]).update(due_at=later)


def find_missing(queues: Queues, records: list[TaskRecord]) -> list[TaskRecord]:
    """Those whose messages are in no queue, not just fetched and not taken up while this was looked at."""
    gone = [record for record in records if not queues.may_hold(record)]
    fetched = [record for record in gone if queues.was_just_fetched(record)]
    rows(fetched).filter(state=State.PUBLISHED).update(due_at=Now() + timedelta(seconds=RENEWED))
    lost = [record for record in gone if record not in fetched]
    waiting = set(rows(lost).filter(state__in=(State.PUBLISHED, State.FAILED)).values_list("pk", flat=True))
    return [record for record in lost if record.pk in waiting]


def count_missing(records: list[TaskRecord]) -> list[TaskRecord]:
    """Return those to be published again: not a call whose messages all vanish, which may be what ends its worker."""
    if not records:
        return []
    log.warning("The messages of %s records were lost: they are published again", len(records))
    rows(records).update(publishes=F("publishes") + 1)
    hopeless = [row for row in records if row.state == State.PUBLISHED and row.publishes + 1 >= MAX_PUBLISHES]
    for record in hopeless:
        give_up(record, letters.MESSAGE_LOST)
    return [record for record in records if record not in hopeless]


def rows(records: Iterable[TaskRecord]) -> Any:
    return TaskRecord.objects.filter(pk__in=[record.pk for record in records])


def publish(app: Celery, connection: Connection, records: list[TaskRecord], *, first: list[TaskRecord]) -> None:
    """Send both, in order of age: `records` to the end of their queues, `first` to the front."""
    producer = app.amqp.Producer(connection, auto_declare=False)
    # At the front, what is put there last is taken first.
    turns = [(record, False) for record in records] + [(record, True) for record in reversed(first)]
    for place, (record, ahead) in enumerate(turns):
        try:
            send(app, record, ahead, producer)
        except AWAY:
            outbox.put_back(*(left for left, _ in turns[place:]))
            raise
        except Exception as error:
            # It must not stand in the way of others.
            give_up(record, letters.PERMANENT, error)


def give_up(record: TaskRecord, reason: str, error: Exception | None = None) -> None:
    """Let the next sweep send the record's dead letter, unless a worker has claimed it meanwhile."""
    log.error("%s is given up: %s", record, type(error).__name__ if error else reason, extra=record.identifiers)
    letter = composing.compose(record, error, reason)
    rows([record]).filter(state=State.PUBLISHED).update(state=State.FAILED, failure=letter, due_at=Now())


def send(app: Celery, record: TaskRecord, ahead: bool, producer: Any) -> None:
    if record.state == State.FAILED:
        letters.send(app, record.failure or {}, producer=producer, retry=False)
    else:
        outbox.send(app, record, first=ahead, producer=producer)
