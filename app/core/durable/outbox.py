"""From `.delay()` to the broker: the record in the caller's transaction, the message after its commit."""

import logging
import uuid
from datetime import datetime, timedelta
from typing import Any

from celery import Celery, Task, current_task
from celery.utils.time import maybe_iso8601
from django.db import DatabaseError
from django.db.models import F
from django.db.models.expressions import Combinable
from django.utils.timezone import is_naive, make_aware, now
from django_guid import get_guid
from kombu.utils import json

from core.broker import AWAY, FIRST
from core.durable import statements
from core.durable.breaker import Breaker, BrokerAwayError
from core.identifiers import on_behalf_of
from core.models import TaskRecord

log = logging.getLogger(__name__)
# A published record that no worker has taken up is looked after in so many seconds: is its message still there?
LOOKED_AFTER = timedelta(seconds=30)
HEADER = "durable"
# Seconds since 1970; `core.identifiers` gives it to every other message.
SENT_AT = "sent_at"
# Levels of lists and mappings in a call's arguments: far below what Python's recursion limit lets a worker handle.
DEEPEST = 100
# What concerns the act of publishing or is kept in a column of its own.
NOT_KEPT = {"producer", "connection", "publisher", "retry", "retry_policy", "countdown", "eta", "queue", "task_id"}
breaker = Breaker()
State = TaskRecord.State
# Now() is the database's: what is due is decided there, whatever time the hosts have.
Moment = datetime | Combinable


def record(task: Task[Any, Any], args: Any, kwargs: Any, task_id: str | None, options: dict[str, Any]) -> TaskRecord:
    """Insert the call into the current transaction. A failure leaves that transaction usable."""
    payload = dump(args, kwargs, kept(task, options))
    refuse_unreadable(payload)
    eta = eta_of(options)
    waits = eta is not None or breaker.is_open
    record = TaskRecord(
        id=uuid.UUID(task_id) if task_id else uuid.uuid4(),
        task=task.name,
        queue=queue_of(task, args, kwargs, options),
        payload=payload,
        state=(State.WAITING if waits else State.PUBLISHED).value,
        sent_at=None if waits else now(),
        request_id=get_guid() or "",
    )
    statements.insert(record, eta or timedelta(0) if waits else LOOKED_AFTER)
    return record


def eta_of(options: dict[str, Any]) -> datetime | timedelta | None:
    """A time from now is one by the database's clock."""
    if options.get("countdown"):
        return timedelta(seconds=options["countdown"])
    return aware(options.get("eta"))


def aware(moment: datetime | str | None) -> datetime | None:
    parsed = maybe_iso8601(moment) if moment else None
    return make_aware(parsed) if parsed is not None and is_naive(parsed) else parsed


def queue_of(task: Task[Any, Any], args: Any, kwargs: Any, options: dict[str, Any]) -> str:
    route = task.app.amqp.router.route({"queue": options.get("queue")}, task.name, args, kwargs, task_type=task)  # type: ignore[arg-type]
    queue = route.get("queue")
    return str(getattr(queue, "name", queue))


def kept(task: Task[Any, Any], options: dict[str, Any]) -> dict[str, Any]:
    chosen = {**task._get_exec_options(), **options}  # type: ignore[attr-defined]
    chosen.setdefault("ignore_result", task.ignore_result)
    if current_task and current_task.request.id:
        chosen.setdefault("root_id", current_task.request.root_id or current_task.request.id)
        chosen.setdefault("parent_id", current_task.request.id)
    chosen["expires"] = end_of(chosen.get("expires"))
    return {key: value for key, value in chosen.items() if value is not None and key not in NOT_KEPT}


def end_of(expires: float | datetime | str | None) -> datetime | None:
    return now() + timedelta(seconds=expires) if isinstance(expires, int | float) else aware(expires)


def dump(args: Any, kwargs: Any, options: dict[str, Any]) -> str:
    return json.dumps({"args": list(args or ()), "kwargs": dict(kwargs or {}), "options": options})


def load(record: TaskRecord) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    call = json.loads(record.payload)
    return call["args"], call["kwargs"], call["options"]


def read(record: TaskRecord) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """`load` for those who can do without: nothing of a call that cannot be read."""
    try:
        refuse_unreadable(record.payload)
        return load(record)
    except Exception:
        return [], {}, {}


def without_expiry(record: TaskRecord) -> str:
    """The payload of a call that somebody wants run, however late it is."""
    args, kwargs, options = read(record)
    return dump(args, kwargs, options) if options.pop("expires", None) else record.payload


def refuse_unreadable(payload: str) -> None:
    """Raise what a worker or a sweeper would meet with later, where nobody could mend it."""
    call = json.loads(payload)
    for argument in (*call["args"], *call["kwargs"].values()):
        refuse_deep(argument, DEEPEST)


def refuse_deep(value: Any, levels: int) -> None:
    if not isinstance(value, dict | list):
        return
    if not levels:
        raise ValueError(f"Arguments of a durable task are nested at most {DEEPEST} deep")
    for item in value.values() if isinstance(value, dict) else value:
        refuse_deep(item, levels - 1)


def publish(app: Celery, record: TaskRecord) -> None:
    """Send the record's message now; when the broker is away, leave that to a sweeper."""
    if record.state == State.WAITING:
        return
    try:
        with breaker.attempt():
            send(app, record)
    except BrokerAwayError:
        put_back(record)
    except Exception as error:
        why = "the broker is away" if isinstance(error, AWAY) else "it could not be sent"
        reason = type(error).__name__
        log.warning("%s is recorded and waits: %s (%s)", record, why, reason, extra=record.identifiers)
        put_back(record)


def put_back(*records: TaskRecord) -> None:
    """What could not be published waits its turn by age."""
    ids = [record.pk for record in records]
    try:
        TaskRecord.objects.filter(pk__in=ids, state=State.PUBLISHED).update(state=State.WAITING, due_at=F("created_at"))
    except DatabaseError:
        log.warning("%s records wait longer: the database is away too", len(ids), exc_info=True)


def send(app: Celery, record: TaskRecord, *, first: bool = False, **how: Any) -> None:
    args, kwargs, options = load(record)
    options.pop("expires", None)
    sent_at = record.sent_at and record.sent_at.timestamp()
    headers = {**options.pop("headers", {}), HEADER: True, FIRST: first, SENT_AT: sent_at}
    options |= {"queue": record.queue, "task_id": str(record.pk), "add_to_parent": False, "retry": False}
    with on_behalf_of(record.request_id):
        app.send_task(record.task, args, kwargs, headers=headers, **options, **how)
    log.info("%s[%s] is sent to the queue %s", record.task, record.pk, record.queue, extra=record.identifiers)
