"""What a dead letter says: the call with its secrets masked, the error, in a form that every column takes."""

import inspect
import json
import math
from itertools import zip_longest
from traceback import format_exception
from typing import Any

from celery import current_app
from django.utils.timezone import now
from django_guid import get_guid
from kombu.utils import json as kombu_json

from core.durable import outbox
from core.durable.masking import mask, mask_nameless, mask_text, secrets_in
from core.models import TaskRecord

LONGEST_TEXT = 20_000
# More than is kept, lest a secret that is cut in two is not known for one.
READ = 2 * LONGEST_TEXT
Letter = dict[str, Any]


def compose(record: TaskRecord, error: BaseException | None, reason: str) -> Letter:
    args, kwargs, _ = outbox.read(record)
    return {
        **letter(str(record.pk), record.task, record.queue, args, kwargs, error, reason),
        "attempts": record.attempts,
        "worker": record.worker,
        "request_id": record.request_id,
        "recorded_at": record.created_at.isoformat(),
    }


def letter(  # noqa: PLR0913, PLR0917
    task_id: str, task: str, queue: str, args: Any, kwargs: Any, error: BaseException | None, reason: str
) -> Letter:
    given, (args, kwargs) = (args, kwargs), presentable(args, kwargs)
    named, hide = name_arguments(task, args), mask_text if task in current_app.tasks else mask_nameless
    secrets = secrets_in(kwargs).union(*(secrets_in(value, name) for name, value in named))
    shown = plain(([mask(value, name, hide) for name, value in named], mask(kwargs)))
    content = {
        "task_id": task_id,
        "task": task,
        "queue": queue,
        "args": shown[0],
        "kwargs": shown[1],
        "masked": args is not given[0] or shown != plain(given),
        "reason": reason,
        "exception": mask_text(f"{type(error).__name__}: {error}"[:READ], secrets)[:LONGEST_TEXT] if error else reason,
        "traceback": mask_text("".join(format_exception(error))[-READ:], secrets)[-LONGEST_TEXT:] if error else "",
        "request_id": get_guid() or "",
        "failed_at": now().isoformat(),
    }
    return {name: storable(value) for name, value in content.items()}


def presentable(args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Both, unless they are no arguments, or nested too deep to be gone through: messages may be anybody's."""
    try:
        if isinstance(args, list | tuple) and isinstance(kwargs, dict):
            outbox.refuse_deep([*args, kwargs], outbox.DEEPEST + 2)
            return args, kwargs
    except ValueError:
        pass
    return [], {"arguments": "none that could be kept"}


def plain(value: Any) -> Any:
    """What a JSON column can hold: dates and the like as Kombu writes them."""
    return storable(json.loads(kombu_json.dumps(value)))


def storable(value: Any) -> Any:
    """What PostgreSQL would refuse, in a way that it takes: a letter that cannot be stored is lost."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode().replace("\0", "\ufffd")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return [storable(item) for item in value] if isinstance(value, list) else value


def name_arguments(task: str, args: Any) -> list[tuple[str, Any]]:
    """Positional arguments with their parameters' names, which tell which are secret."""
    known = current_app.tasks.get(task)
    parameters = list(inspect.signature(known.run).parameters.values()) if known else []
    names = [each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    collected = next((each.name for each in parameters if each.kind == each.VAR_POSITIONAL), "")
    return list(zip_longest(names[: len(args)], args, fillvalue=collected))
