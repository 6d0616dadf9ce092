"""What every log record carries, so that one identifier leads from a click to the delivered mail."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from celery import current_task
from celery.signals import before_task_publish, task_postrun, task_prerun
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse
from django_guid import get_guid
from django_guid.context import guid

# Gunicorn's name for the header of its answer.
ANSWERED = "{x-request-id}o"
NAMES = ("request_id", "task_id", "task_name", "user_id")
web_request: ContextVar[HttpRequest | None] = ContextVar("web_request", default=None)
# The account that a task is about.
account: ContextVar[str] = ContextVar("account", default="")


class Identifiers(logging.Filter):
    """Gives each record `request_id`, `task_id`, `task_name` and `user_id`; "" where there is none.

    What the caller passed as `extra` stays.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in (current() | told_by(record)).items():
            record.__dict__.setdefault(name, value)
        return True


def current() -> dict[str, str]:
    request = current_task.request if current_task else None
    return {
        "request_id": get_guid() or "",
        "task_id": str(request.id or "") if request else "",
        "task_name": str(current_task.name) if request else "",
        "user_id": account.get() or visitor(),
    }


def told_by(record: logging.LogRecord) -> dict[str, str]:
    """What Celery and Gunicorn tell in their own lines, some of them from where no task or request runs."""
    if isinstance(record.args, dict) and ANSWERED in record.args:
        return {"request_id": record.args[ANSWERED]}
    task = record.__dict__.get("data")
    return {"task_id": task["id"], "task_name": task["name"]} if isinstance(task, dict) and "id" in task else {}


@contextmanager
def on_behalf_of(request_id: str) -> Iterator[None]:
    """Log and publish for a request that is over, whichever this process now answers."""
    token = guid.set(request_id or None)
    try:
        yield
    finally:
        guid.reset(token)


def visitor() -> str:
    """Who is signed in, if the request has looked: a line in a log is no reason to ask the database."""
    request = web_request.get()
    looked = vars(request.session).get("_session_cache", {}) if request else {}
    return str(looked.get(SESSION_KEY, ""))


def remember_request(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """A middleware, after the session's."""

    def respond(request: HttpRequest) -> HttpResponse:
        token = web_request.set(request)
        try:
            return get_response(request)
        finally:
            web_request.reset(token)

    return respond


@before_task_publish.connect
def note_time(headers: dict[str, Any], **kwargs: Any) -> None:
    """Let `saas status` tell how long a message has waited, and a sweeper which are gone. A durable task's stays."""
    headers.setdefault("sent_at", time.time())


@task_prerun.connect
def note_account(kwargs: dict[str, Any] | None = None, **_: Any) -> None:
    account.set(str((kwargs or {}).get("user_id", "")))


@task_postrun.connect
def forget_account(**kwargs: Any) -> None:
    account.set("")
