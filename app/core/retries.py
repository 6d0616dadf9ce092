import logging
import random
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Task
from django.conf import settings
from django.db import InterfaceError, OperationalError

log = logging.getLogger("core.tasks")
LONGEST_DELAY = 600
JITTER = 0.1
FIRST_PERMANENT = 500


@contextmanager
def retried(task: Task[Any, Any]) -> Iterator[None]:
    """Run a task's body; run the task again later when a failure is one that may pass."""
    name = f"{task.name.removeprefix('core.tasks.')}[{task.request.id}]"
    log.info("%s begins, attempt %s", name, task.request.retries + 1)
    try:
        yield
    except Exception as error:
        most = settings.CELERY_TASK_MAX_RETRIES
        if task.request.retries >= most or not is_transient(error):
            raise
        delay = delay_before_retry(task.request.retries)
        log.warning("%s failed: %s: again in %.0f s", name, type(error).__name__, delay)
        raise task.retry(exc=error, countdown=delay, max_retries=most) from error
    log.info("%s done", name)


def delay_before_retry(retries: int) -> float:
    """Seconds to wait: doubling from retry to retry, capped, each ± 10 % (Celery's own jitter is 0–100 %)."""
    delay = min(settings.CELERY_TASK_DEFAULT_RETRY_DELAY * 2**retries, LONGEST_DELAY)
    return float(delay * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311


def is_transient(error: Exception) -> bool:
    """Whether trying again can help: an SMTP answer of 4xx, the network or the database away; not 5xx, not a bug."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code < FIRST_PERMANENT for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code < FIRST_PERMANENT
    if type(error) in (smtplib.SMTPException, smtplib.SMTPNotSupportedError):
        return False
    return isinstance(error, OSError | OperationalError | InterfaceError)
