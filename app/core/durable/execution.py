"""In a worker: claim the record, run the body, close the record. Each step happens once, whoever tries it too."""

import logging
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from celery import Celery, Task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils.timezone import now
from django_guid import get_guid

from core.durable import letters, outbox
from core.durable.following import follow
from core.durable.identity import IDENTITY
from core.models import TaskRecord
from core.retries import delay_before_retry, is_transient

log = logging.getLogger(__name__)
# A worker renews its leases every few seconds. When it has not done so for this long, it is taken for dead.
LEASE = timedelta(seconds=30)
# How long a step waits for a database that is being restarted.
PATIENCE = 20
DATABASE_AWAY = (OperationalError, InterfaceError)
State = TaskRecord.State
T = TypeVar("T")


class LeftToSweeperError(Ignore):
    """What became of the run could not be recorded. Its lease ends, and it is tried again."""


def run(task: Task[Any, Any], args: Any, kwargs: Any) -> Any:
    request: Any = task.request
    try:
        record = patiently(lambda: claim(task))
    except DATABASE_AWAY as error:
        # A message that was sent by name has no record yet. It cannot go round in haste: each turn takes PATIENCE.
        log.warning("%s[%s] goes back to its queue: the database is away", task.name, request.id)
        raise Reject(error, requeue=True) from error
    if record is None:
        raise Ignore
    request.retries, request.claimed, request.postponed = record.retries, record, None
    try:
        result = task.run(*args, **kwargs)
    except Exception as error:
        conclude(task, record, error)
        raise
    if request.postponed:
        postpone(record, request.postponed)
    else:
        end(task, record, result)
    request.callbacks = request.chain = None
    return result


def conclude(task: Task[Any, Any], record: TaskRecord, error: Exception) -> None:
    postponement = getattr(task.request, "postponed", None)
    if postponement:
        postpone(record, postponement)
    elif isinstance(error, Ignore | Reject):
        obey(task, record, error)
    else:
        fail(task.app, record, letters.compose(record, error, reason(task, error)))


def patiently(step: Callable[[], T]) -> T:
    """Repeat a step that the database's absence cuts off: a mail that was sent should be known to be."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return step()
        except DATABASE_AWAY:
            if connection.in_atomic_block or time.monotonic() > end:
                raise
            connection.close()
            time.sleep(0.5)


def claim(task: Task[Any, Any]) -> TaskRecord | None:
    """Take the record for this run, or tell that it is not to be run: done, or running, or not due."""
    request = task.request
    key = uuid.UUID(request.id)
    if not (request.headers or {}).get(outbox.HEADER):
        adopt(task, key)
    claimable = Q(state=State.PUBLISHED) | Q(state=State.WAITING, due_at__lte=Now())
    claimed = TaskRecord.objects.filter(claimable, pk=key).update(
        state=State.RUNNING,
        worker=worker_of(request),
        started_at=Now(),
        due_at=Now() + LEASE,
        attempts=F("attempts") + 1,
        publishes=0,
    )
    record = TaskRecord.objects.get(pk=key) if claimed else None
    if record is None:
        log.info("%s[%s] is not run: done, or running elsewhere, or not due", task.name, request.id)
    elif record.attempts == 1 and expired(record):
        # Later runs finish what the first began.
        log.warning("%s[%s] expired before it began: it is not run", task.name, request.id)
        close(record, State.DONE)
        return None
    return record


def worker_of(request: Any) -> str:
    return f"{request.hostname} {IDENTITY}"


def adopt(task: Task[Any, Any], key: uuid.UUID) -> None:
    """Record a message that was not published by `outbox`: by name, by an older release, by hand."""
    request = task.request
    route = (request.delivery_info or {}).get("routing_key") or task.app.conf.task_default_queue
    fields = {
        "task": task.name,
        "queue": route,
        "payload": outbox.dump(request.args, request.kwargs, {"ignore_result": task.ignore_result}),
        "created_at": Now(),
        "due_at": Now() + LEASE,
        "request_id": get_guid() or "",
    }
    sent: Any = (request.headers or {}).get(outbox.SENT_AT)
    # Whoever sent it by hand may have written anything there.
    with suppress(TypeError, ValueError, OverflowError, OSError):
        fields["sent_at"] = datetime.fromtimestamp(sent, UTC)
    TaskRecord.objects.bulk_create([TaskRecord(id=key, **fields)], ignore_conflicts=True)


def expired(record: TaskRecord) -> bool:
    expires = outbox.aware(outbox.load(record)[2].get("expires"))
    return expires is not None and expires < now()


def mine(record: TaskRecord) -> QuerySet[TaskRecord]:
    """The record as long as this run has it: a later claim has another number of attempts."""
    return TaskRecord.objects.filter(pk=record.pk, state=State.RUNNING, attempts=record.attempts)


def close(record: TaskRecord, state: TaskRecord.State) -> bool:
    closed = mine(record).update(state=state, closed_at=Now(), payload="", failure=None)
    if not closed:
        log.warning("%s has ended after its lease", record)
    return bool(closed)


def end(task: Task[Any, Any], record: TaskRecord, result: Any) -> None:
    try:
        patiently(lambda: finish(task, record, result))
    except DATABASE_AWAY:
        raise
    except Exception as error:
        # A call that follows cannot be made, now or later: no reason to do this one's work again and again.
        conclude(task, record, error)
        raise


def finish(task: Task[Any, Any], record: TaskRecord, result: Any) -> None:
    """Close the record together with the durable calls that follow it. Others are published when that is committed."""
    with transaction.atomic():
        if close(record, State.DONE):
            follow(task, result)


def obey(task: Task[Any, Any], record: TaskRecord, verdict: Any) -> None:
    if isinstance(verdict, Ignore):
        patiently(partial(close, record, State.DONE))
    elif verdict.requeue and record.retries < settings.CELERY_TASK_MAX_RETRIES:
        due = Now() + timedelta(seconds=delay_before_retry(record.retries))
        postpone(record, {"due": due, "retries": record.retries + 1})
    else:
        why = letters.RETRIES_SPENT if verdict.requeue else letters.PERMANENT
        fail(task.app, record, letters.compose(record, verdict, why))


def postponed(record: TaskRecord, due: outbox.Moment, args: Any, kwargs: Any) -> dict[str, Any]:
    """What `retry` asks for. It is written when the body has ended, since the body may roll back what it writes."""
    changes: dict[str, Any] = {"due": due, "retries": record.retries + 1}
    if args is not None or kwargs is not None:
        old_args, old_kwargs, options = outbox.load(record)
        changes["payload"] = outbox.dump(
            old_args if args is None else args, old_kwargs if kwargs is None else kwargs, options
        )
        outbox.refuse_unreadable(changes["payload"])
    return changes


def postpone(record: TaskRecord, changes: dict[str, Any]) -> None:
    try:
        patiently(partial(wait, record, **changes))
    except DATABASE_AWAY as error:
        log.warning("%s waits for the end of its lease: the database is away", record)
        raise LeftToSweeperError from error


def wait(record: TaskRecord, due: outbox.Moment, **changes: Any) -> None:
    mine(record).update(state=State.WAITING, due_at=due, worker="", **changes)


def reason(task: Task[Any, Any], error: Exception) -> str:
    if isinstance(error, SoftTimeLimitExceeded):
        return letters.TIME_LIMIT
    spent = getattr(task.request, "retries_spent", False) or is_transient(error)
    return letters.RETRIES_SPENT if spent else letters.PERMANENT


def fail(app: Celery, record: TaskRecord, letter: letters.Letter) -> None:
    """Keep the letter in the record, so that no loss of the broker loses it, and send it."""
    try:
        patiently(lambda: mine(record).update(state=State.FAILED, failure=letter, due_at=Now() + outbox.LOOKED_AFTER))
    finally:
        letters.send_or_leave(app, letter)
