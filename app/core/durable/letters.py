"""Dead letters on their way: sent through the queue `dead_letter`, kept in the table."""

import logging
import uuid
from datetime import datetime
from typing import Any

from celery import Celery
from django.db import transaction
from django.db.models.functions import Now
from django.utils.dateparse import parse_datetime

from core.durable import outbox
from core.durable.breaker import BrokerAwayError
from core.durable.composing import Letter, plain
from core.identifiers import on_behalf_of
from core.models import DeadLetter, TaskRecord

log = logging.getLogger(__name__)
QUEUE = "dead_letter"
TASK = "core.tasks.record_dead_letter"
PERMANENT = "permanent error"
RETRIES_SPENT = "retries spent"
WORKER_LOST = "worker lost too often"
MESSAGE_LOST = "message lost too often"
TIME_LIMIT = "time limit exceeded"
UNKNOWN_TASK = "unknown task"
UNDECODABLE = "undecodable message"
# What the column holds: the number comes from a message's headers, which may be anybody's.
MOST_ATTEMPTS = 2**31 - 1
State = TaskRecord.State


def written_at(content: Letter) -> float:
    return datetime.fromisoformat(content["failed_at"]).timestamp()


def message_id(content: Letter) -> str:
    """The same whenever this letter is sent."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{content['task_id']} {content['failed_at']}"))


def send(app: Celery, content: Letter, **how: Any) -> None:
    how |= {"task_id": message_id(content), "headers": {outbox.SENT_AT: written_at(content)}}
    with on_behalf_of(content.get("request_id", "")):
        app.send_task(TASK, [content], queue=QUEUE, ignore_result=True, add_to_parent=False, **how)


def send_or_leave(app: Celery, content: Letter) -> None:
    """Send now; when the broker is away, a sweeper finds the letter in its record."""
    try:
        send_once(app, content)
    except BrokerAwayError:
        log.warning("The dead letter of %s waits: the broker is away", content["task_id"])
    except Exception:
        log.exception("The dead letter of %s waits", content["task_id"])


def send_once(app: Celery, content: Letter) -> None:
    with outbox.breaker.attempt():
        send(app, content, retry=False)


def store(content: Letter) -> str:
    """Write the row and close the record in one transaction. Doing it again changes nothing."""
    task_id = content["task_id"]
    with transaction.atomic():
        record = record_of(task_id)
        if record is not None and not close_as_dead(record, content):
            return f"Dead letter {task_id} is out of date"
        DeadLetter.objects.update_or_create(task_id=task_id, defaults=columns(content))
    return f"Dead letter {task_id} stored"


def record_of(task_id: str) -> TaskRecord | None:
    return TaskRecord.objects.select_for_update().filter(pk=key_of(task_id)).first()


def key_of(task_id: str) -> uuid.UUID:
    try:
        return uuid.UUID(task_id)
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_URL, task_id)


def close_as_dead(record: TaskRecord, content: Letter) -> bool:
    """Refuse a letter about an earlier run than the record's last, or about one that was requeued since.

    Also one that was written without the record, which the database could not show then: its run is repeated.
    """
    last = "recorded_at" in content and record.attempts == content.get("attempts", 0)
    ended = last and record.state in (State.FAILED, State.RUNNING)
    # An unreadable message needs no letter: it is published again, from the record.
    if not ended and not (record.state == State.PUBLISHED and content["reason"] == UNKNOWN_TASK):
        return False
    # What was masked for people is not to lie readable here.
    payload = "" if content["masked"] else record.payload
    TaskRecord.objects.filter(pk=record.pk).update(state=State.DEAD, closed_at=Now(), payload=payload, failure=None)
    return True


def columns(content: Letter) -> dict[str, Any]:
    lengths = {field.name: getattr(field, "max_length", None) for field in DeadLetter._meta.fields}
    known = {name: value for name, value in plain(content).items() if name in lengths and name != "task_id"}
    chosen = {name: value[: lengths[name]] if isinstance(value, str) else value for name, value in known.items()}
    chosen["attempts"] = min(max(content.get("attempts", 0), 0), MOST_ATTEMPTS)
    for name in ("recorded_at", "failed_at"):
        chosen[name] = parse_datetime(str(content[name])) if content.get(name) else None
    return chosen
