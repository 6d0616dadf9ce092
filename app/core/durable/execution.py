"""In a worker: claim the record and run the body. Each step happens once, whoever tries it too."""

import logging
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from celery import Task
from celery.exceptions import Ignore, Reject
from django.db import connection
from django.db.models.functions import Now
from django.utils.timezone import now
from django_guid import get_guid

from core.durable import outbox, statements
from core.durable.ending import close, conclude, end, postpone
from core.durable.identity import IDENTITY
from core.durable.patience import DATABASE_AWAY, patiently
from core.models import TaskRecord

log = logging.getLogger(__name__)
State = TaskRecord.State


def run(task: Task[Any, Any], args: Any, kwargs: Any) -> Any:
    request: Any = task.request
    # The claim itself tells whether the connection works, and is repeated if not.
    connection.health_check_done = True  # type: ignore[attr-defined]  # the stubs leave it out
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


def claim(task: Task[Any, Any]) -> TaskRecord | None:
    """Take the record for this run, or tell that it is not to be run: done, or running, or not due."""
    request = task.request
    key = uuid.UUID(request.id)
    if not (request.headers or {}).get(outbox.HEADER):
        adopt(task, key)
    record = statements.claim(key, worker_of(request))
    if record is None:
        log.info("%s[%s] is not run: done, or running elsewhere, or not due", task.name, request.id)
    elif record.attempts == 1 and expired(record):
        # Later runs finish what the first began.
        log.warning("%s[%s] expired before it began: it is not run", task.name, request.id)
        close(record)
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
        "due_at": Now() + statements.LEASE,
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
