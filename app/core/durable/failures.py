"""Failures outside durable tasks: plain tasks that failed for good, and messages that no task takes."""

import hashlib
import logging
from typing import Any

from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from celery.signals import task_failure
from celery.worker.consumer import Consumer
from django.conf import settings
from django.db import DatabaseError
from kombu.exceptions import OperationalError

from core.durable import composing, letters
from core.durable.masking import mask_nameless
from core.durable.patience import patiently
from core.durable.task import DurableTask, is_uuid
from core.models import TaskRecord

log = logging.getLogger(__name__)
REQUEST_HEADER = "X-Request-ID"


def leave_body_out(record: logging.LogRecord) -> bool:
    """Celery writes down what it cannot take, arguments and all."""
    if isinstance(record.args, tuple) and "message body" in str(record.msg):
        first = str(record.msg).strip().partition("\n")[0].partition(" [")[0].replace("%r", "%s")
        record.msg, record.args = first, record.args[: first.count("%s")]
    return True


logging.getLogger(Consumer.__module__).addFilter(leave_body_out)


@task_failure.connect
def bury_plain_task(sender: Any, task_id: str, exception: BaseException, args: Any, kwargs: Any, **_: Any) -> None:
    request = sender.request
    if request.is_eager or sender.name == letters.TASK:
        return
    # Celery tells twice of a task that was killed at its time limit, the second time without its request.
    if request.id != task_id or has_record(sender, task_id):
        return
    queue = (request.delivery_info or {}).get("routing_key") or ""
    # The number comes from the message's headers, which may be anybody's.
    retries = request.retries if isinstance(request.retries, int) else 0
    why = reason(exception, retries)
    letter = composing.letter(task_id, sender.name, queue, args or (), kwargs or {}, exception, why)
    send_or_store(sender.app, {**letter, "attempts": retries + 1, "worker": request.hostname or ""})


def has_record(task: Any, task_id: str) -> bool:
    """Then the record leads to its letter. What was sent by name may have failed before it had one."""
    if not (isinstance(task, DurableTask) and is_uuid(task_id)):
        return False
    claimed = getattr(task.request, "claimed", None)
    try:
        return claimed is not None or TaskRecord.objects.filter(pk=task_id).exists()
    except DatabaseError:
        # A letter that the record makes needless is refused when it arrives.
        return False


def send_or_store(app: Celery, content: composing.Letter) -> None:
    """Send a letter that no record holds; when the broker is away, write its row here and now."""
    try:
        letters.send_once(app, content)
    except Exception:
        try:
            patiently(lambda: letters.store(content))
        except Exception:
            what = f"{content['task']}[{content['task_id']}]"
            log.exception("The dead letter of %s is lost: broker and database are away", what)


def reason(exception: BaseException, retries: int) -> str:
    if isinstance(exception, WorkerLostError):
        return letters.WORKER_LOST
    if isinstance(exception, SoftTimeLimitExceeded | TimeLimitExceeded):
        return letters.TIME_LIMIT
    return letters.RETRIES_SPENT if 0 < retries >= settings.CELERY_TASK_MAX_RETRIES else letters.PERMANENT


class BuryingConsumer(Consumer):
    """Celery acknowledges and drops what it cannot read or does not know. This one buries it first.

    When the broker fails meanwhile, the error restarts the consumer, and the message comes again. Any other error
    would end the worker, and the next one, with the same message.
    """

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        self.bury(message, letters.UNKNOWN_TASK, exc)
        super().on_unknown_task(body, message, exc)

    def on_unknown_message(self, body: Any, message: Any) -> None:
        self.bury(message, letters.UNDECODABLE, None)
        super().on_unknown_message(body, message)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        self.bury(message, letters.UNDECODABLE, exc)
        super().on_decode_error(message, exc)

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        self.bury(message, letters.UNDECODABLE, exc)
        super().on_invalid_task(body, message, exc)

    def bury(self, message: Any, reason: str, error: BaseException | None) -> None:
        headers = message.headers or {}
        args, kwargs = arguments(message) if reason == letters.UNKNOWN_TASK else ([], {})
        queue = message.delivery_info.get("routing_key") or ""
        name = str(headers.get("task") or "unknown")
        letter = composing.letter(letter_id(message), name, queue, args, kwargs, error, reason)
        if reason != letters.UNKNOWN_TASK:
            letter |= {"kwargs": {"body": shown(message.body)}, "masked": True}
        letter |= {"worker": self.hostname, "attempts": 0, "request_id": request_id(headers)}
        try:
            letters.send(self.app, letter)
        except OperationalError as away:
            raise ConnectionError(str(away)) from away


def request_id(headers: dict[str, Any]) -> str:
    return str(headers.get(REQUEST_HEADER) or "")[:36]


def arguments(message: Any) -> tuple[list[Any], dict[str, Any]]:
    try:
        args, kwargs, _ = message.decode()
    except Exception:
        return [], {"body": shown(message.body)}
    return args, kwargs


def letter_id(message: Any) -> str:
    """The task's id, or what stays the same when the same message comes again."""
    given = (message.headers or {}).get("id")
    return str(given)[:255] if given else hashlib.sha256(repr(message.body).encode()).hexdigest()


def shown(body: Any) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    return mask_nameless(text[: composing.READ])[: composing.LONGEST_TEXT]
