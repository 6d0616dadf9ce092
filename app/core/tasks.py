import logging
from collections.abc import Callable
from typing import Any

from celery import Task, shared_task
from django.conf import settings

from accounts.models import User
from core import limits, mails, sessions
from core.retries import delay_before_retry, is_transient

log = logging.getLogger(__name__)


def deliver(task: Task[Any, Any], send: Callable[[], object]) -> None:
    """Call `send`, again later when its failure is transient."""
    try:
        send()
    except Exception as error:
        if not is_transient(error):
            raise
        raise task.retry(
            exc=error,
            countdown=delay_before_retry(task.request.retries),
            max_retries=settings.CELERY_TASK_MAX_RETRIES,
        ) from error


@shared_task(bind=True, ignore_result=True)
def send_welcome_email(self: Task[Any, Any], user_id: int, login_url: str) -> str:
    user = find_user(self, user_id)
    if user is None:
        return f"User {user_id} not found"
    deliver(self, lambda: mails.send_welcome(user, login_url))
    log.info("send_welcome_email[%s] sent to user %s", self.request.id, user_id)
    return f"Welcome email sent to {user.email}"


@shared_task(bind=True, ignore_result=True)
def send_password_reset_email(self: Task[Any, Any], user_id: int, reset_link: str) -> str:
    """Not for queueing with a real link: a link in the broker is a key under the mat. See `request_password_reset`."""
    user = find_user(self, user_id)
    if user is None:
        return f"User {user_id} not found"
    deliver(self, lambda: mails.send_password_reset(user, reset_link))
    log.info("send_password_reset_email[%s] sent to user %s", self.request.id, user_id)
    return f"Password reset email sent to {user.email}"


@shared_task(bind=True, ignore_result=True)
def request_password_reset(self: Task[Any, Any], email: str) -> None:
    """Mail a link to the account of `email`, if there is one. The link is made here and never enqueued."""
    deliver(self, lambda: mails.answer_reset_request(email))
    log.info("request_password_reset[%s] done", self.request.id)


@shared_task(bind=True, ignore_result=True)
def cleanup_expired_tokens(self: Task[Any, Any]) -> str:
    deleted = sessions.delete_expired()
    log.info("cleanup_expired_tokens[%s] deleted %s expired sessions", self.request.id, deleted)
    return f"Cleanup completed: {deleted} expired sessions deleted"


@shared_task(bind=True, ignore_result=True)
def forget_rate_limits(self: Task[Any, Any]) -> str:
    deleted = limits.forget_ended()
    log.info("forget_rate_limits[%s] deleted %s ended counters", self.request.id, deleted)
    return f"{deleted} ended counters deleted"


def find_user(task: Task[Any, Any], user_id: int) -> User | None:
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        log.warning("%s[%s] found no user %s", task.name.rpartition(".")[2], task.request.id, user_id)
    return user
