"""In a worker: what becomes of a run, written into its record by whoever still has it."""

import logging
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from typing import Any

from celery import Celery, Task
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from core.durable import composing, letters, outbox, statements
from core.durable.following import follow
from core.durable.patience import DATABASE_AWAY, patiently
from core.models import TaskRecord
from core.retries import delay_before_retry, is_transient

log = logging.getLogger(__name__)
State = TaskRecord.State


class LeftToSweeperError(Ignore):
    """What became of the run could not be recorded. Its lease ends, and it is tried again."""


def conclude(task: Task[Any, Any], record: TaskRecord, error: Exception) -> None:
    postponement = getattr(task.request, "postponed", None)
    if postponement:
        postpone(record, postponement)
    elif isinstance(error, Ignore | Reject):
        obey(task, record, error)
    else:
        fail(task.app, record, composing.compose(record, error, reason(task, error)))


def mine(record: TaskRecord) -> QuerySet[TaskRecord]:
    """The record as long as this run has it: a later claim has another number of attempts."""
    return TaskRecord.objects.filter(pk=record.pk, state=State.RUNNING, attempts=record.attempts)


def close(record: TaskRecord) -> bool:
    closed = statements.close(record)
    if not closed:
        log.warning("%s has ended after its lease", record)
    return closed


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
    followed = task.request.callbacks or task.request.chain
    with transaction.atomic() if followed else nullcontext():
        if close(record):
            follow(task, result)


def obey(task: Task[Any, Any], record: TaskRecord, verdict: Any) -> None:
    if isinstance(verdict, Ignore):
        patiently(partial(close, record))
    elif verdict.requeue and record.retries < settings.CELERY_TASK_MAX_RETRIES:
        due = Now() + timedelta(seconds=delay_before_retry(record.retries))
        postpone(record, {"due": due, "retries": record.retries + 1})
    else:
        why = letters.RETRIES_SPENT if verdict.requeue else letters.PERMANENT
        fail(task.app, record, composing.compose(record, verdict, why))


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


def fail(app: Celery, record: TaskRecord, letter: composing.Letter) -> None:
    """Keep the letter in the record, so that no loss of the broker loses it, and send it."""
    try:
        patiently(lambda: mine(record).update(state=State.FAILED, failure=letter, due_at=Now() + outbox.LOOKED_AFTER))
    finally:
        letters.send_or_leave(app, letter)
