from datetime import timedelta
from typing import Any

from celery import Task, shared_task
from django.conf import settings
from django.db import InterfaceError, OperationalError

from core import limits, mails, sessions
from core.durable import letters, operations
from core.durable.task import DurableTask
from core.retries import retried


@shared_task(bind=True, base=DurableTask, ignore_result=True)
def send_welcome_email(self: Task[Any, Any], user_id: int, login_url: str) -> str:
    with retried(self):
        return mails.send_welcome(user_id, login_url)


@shared_task(bind=True, base=DurableTask, ignore_result=True)
def send_password_reset_email(self: Task[Any, Any], user_id: int, reset_link: str) -> str:
    """Not to be queued with a real link, which would lie readable in the broker: see `request_password_reset`."""
    with retried(self):
        return mails.send_password_reset(user_id, reset_link)


@shared_task(bind=True, base=DurableTask, ignore_result=True)
def request_password_reset(self: Task[Any, Any], email: str) -> None:
    """Mail a link to the account of `email`, if there is one. The link is made here and never queued."""
    with retried(self):
        mails.answer_reset_request(email)


@shared_task(bind=True)
def cleanup_expired_tokens(self: Task[Any, Any]) -> str:
    with retried(self):
        return f"Cleanup completed: {sessions.delete_expired()} expired sessions deleted"


@shared_task(bind=True)
def forget_rate_limits(self: Task[Any, Any]) -> str:
    with retried(self):
        return f"{limits.forget_ended()} ended counters deleted"


@shared_task(bind=True)
def purge_done_records(self: Task[Any, Any]) -> str:
    with retried(self):
        return f"{operations.purge_done(timedelta(seconds=settings.DURABLE_KEEP_DONE))} done records deleted"


@shared_task(bind=True, ignore_result=True, max_retries=None)
def record_dead_letter(self: Task[Any, Any], letter: dict[str, Any]) -> str:
    """Store a dead letter. While the database is down it waits in the queue."""
    try:
        return letters.store(letter)
    except (OperationalError, InterfaceError) as error:
        raise self.retry(exc=error, countdown=10) from error


@shared_task
def report_release() -> str:
    """What `manage.py probe` sends through each queue."""
    return str(settings.RELEASE)
