"""The calls that follow a task: its callbacks, and the next of a chain."""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from celery import Task, signature
from django.db import transaction

log = logging.getLogger(__name__)


def follow(task: Task[Any, Any], result: Any) -> None:
    """Record durable calls in this transaction, publish others after it: a broker that is away undoes nothing."""
    for call, options in following(task):
        publish = partial(call.apply_async, (result,), **options)
        if is_recorded(call):
            publish()
        else:
            transaction.on_commit(partial(attempt, f"{task.name}[{task.request.id}]", publish))


def following(task: Task[Any, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    request: Any = task.request
    family = {"parent_id": request.id, "root_id": request.root_id or request.id}
    for callback in request.callbacks or []:
        yield from ((call, family) for call in single(signature(callback, app=task.app)))
    if request.chain:
        *rest, link = request.chain
        yield from ((call, {"chain": rest, **family}) for call in single(signature(link, app=task.app)))


def single(call: Any) -> Iterator[Any]:
    """A group's calls one by one: called as a group, they would ask the result backend."""
    if call.task == "celery.group":
        for inner in call.tasks:
            yield from single(inner)
    else:
        yield call


def is_recorded(call: Any) -> bool:
    first = next(iter(call.tasks), call) if call.task == "celery.chain" else call
    return getattr(call.app.tasks.get(first.task), "durable", False)


def attempt(done: str, publish: Callable[[], object]) -> None:
    try:
        publish()
    except Exception:
        log.exception("%s is done, and a plain call that follows it is lost: it could not be published", done)
