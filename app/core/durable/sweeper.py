"""Finds records that nobody looks after, and publishes them again. Any number may run at once."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from celery import Celery
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from kombu import Connection

from core.durable import letters, outbox
from core.models import TaskRecord

log = logging.getLogger(__name__)
BATCH = 1000
MAX_LOSSES = 5
BROKER_TIMEOUT = 2
# In the broker: which life of which server has been told everything. A restart, a fail-over or FLUSHALL changes it.
MARK = "saas:durable:server"
# The rest is fetched for the few that were lost or failed.
TO_PUBLISH = ("task", "queue", "payload", "state", "publishes", "losses", "request_id")
State = TaskRecord.State


def sweep(app: Celery) -> int:
    """Publish one batch of what is due, oldest first; return its size. Raises when the broker or database is away."""
    with broker(app) as connection:
        notice_loss(connection)
        records = take_batch()
        publish(app, connection, records)
    return len(records)


@contextmanager
def broker(app: Celery) -> Iterator[Connection]:
    """A connection for one sweep, since one that outlives a restart of the broker fails at its next use."""
    timeouts = {"socket_timeout": BROKER_TIMEOUT, "socket_connect_timeout": BROKER_TIMEOUT, "max_retries": 0}
    with app.connection_for_write(transport_options=timeouts, connect_timeout=BROKER_TIMEOUT) as connection:
        connection.connect()
        yield connection


def notice_loss(connection: Connection) -> None:
    """When the broker may have lost messages, make everything published due."""
    if connection.transport.driver_type != "redis":
        return
    channel: Any = connection.default_channel
    client = channel.client
    life = client.info("server")["run_id"].encode()
    known = client.get(MARK)
    if known in (life, life.decode()):
        return
    sent = TaskRecord.objects.filter(state__in=[State.PUBLISHED, State.FAILED], closed_at=None)
    count = sent.update(due_at=F("created_at"))
    client.set(MARK, life)
    log.warning("The broker was restarted or emptied: %s published records are published again", count)


def take_batch() -> list[TaskRecord]:
    """Due records, put off for the time that publishing and taking up needs; SKIP LOCKED shares them out."""
    with transaction.atomic():
        due = TaskRecord.objects.filter(closed_at=None, due_at__lte=Now()).order_by("due_at").only(*TO_PUBLISH)
        records = list(due.select_for_update(skip_locked=True)[:BATCH])
        lost = [record for record in records if record.state == State.RUNNING]
        count_losses(lost)
        put_off(records)
    return records


def count_losses(records: Iterable[TaskRecord]) -> None:
    """Whose run ended with its worker is tried again, a bounded number of times."""
    for record in records:
        record.losses += 1
        place = record.worker
        log.warning("%s[%s] was lost with its worker %s", record.task, record.pk, place, extra=record.identifiers)
        if record.losses >= MAX_LOSSES:
            record.state = State.FAILED
            record.failure = letters.compose(record, None, letters.WORKER_LOST)
        record.save(update_fields=["losses", "state", "failure"])


def put_off(records: Iterable[TaskRecord]) -> None:
    groups: dict[tuple[str, int], list[TaskRecord]] = defaultdict(list)
    for record in records:
        if record.state != State.FAILED:
            record.state = State.PUBLISHED
        groups[record.state, record.publishes].append(record)
    for (state, publishes), members in groups.items():
        wait = min(outbox.PUBLISHED_AGAIN * 2**publishes, outbox.PUBLISHED_AGAIN_AT_MOST)
        TaskRecord.objects.filter(pk__in=[record.pk for record in members]).update(
            state=state, due_at=Now() + timedelta(seconds=wait), publishes=publishes + 1
        )


def publish(app: Celery, connection: Connection, records: list[TaskRecord]) -> None:
    producer = app.amqp.Producer(connection, auto_declare=False)
    for place, record in enumerate(records):
        try:
            if record.state == State.FAILED:
                letters.send(app, record.failure or {}, producer=producer, retry=False)
            else:
                outbox.send(app, record, producer=producer)
        except Exception:
            outbox.put_back(*records[place:])
            raise
