"""What `saas status` asks the application for: facts of the database and the broker, without judgement."""

import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import redis
from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Min, Q
from django.db.models.functions import Now
from django.utils.timezone import now
from redis.exceptions import NoPermissionError

from core.beat import TICK
from core.health import given_up_after, redis_client
from core.models import DeadLetter, TaskRecord

DATABASE_TIMEOUT = 5
# Kombu keeps messages of each priority but the highest in a list of its own.
PRIORITY = re.compile("\x06\x16[0-9]$")
REPLIES = ".reply.celery.pidbox"
Facts = dict[str, Any]
State = TaskRecord.State


def report() -> Facts:
    return {"database": answer(ask_database), "broker": answer(ask_broker)}


def answer(ask: Callable[[], Facts]) -> Facts:
    try:
        return ask()
    except Exception as error:
        # Whatever it is, the rest is to be shown.
        return {"error": type(error).__name__}


def ask_database() -> Facts:
    connection.ensure_connection()
    with given_up_after(DATABASE_TIMEOUT):
        return {**records(), **dead_letters()}


def records() -> Facts:
    """Of durable tasks. What is put off, by a countdown or for a retry, waits for nobody."""
    due = Q(state__in=[State.PUBLISHED, State.FAILED]) | Q(state=State.WAITING, due_at__lte=Now())
    running = Q(state=State.RUNNING)
    found = TaskRecord.objects.filter(closed_at=None).aggregate(
        pending=Count("pk", filter=due),
        oldest=Min("created_at", filter=due & Q(attempts=0)),
        running=Count("pk", filter=running),
        longest=Min("started_at", filter=running),
        postponed=Count("pk", filter=Q(state=State.WAITING, due_at__gt=Now())),
        lost=Count("pk", filter=Q(losses__gt=0)),
    )
    return {**found, "oldest": age(found["oldest"]), "longest": age(found["longest"])}


def dead_letters() -> Facts:
    found = DeadLetter.objects.aggregate(dead=Count("pk"), newest=Max("failed_at"))
    return {"dead": found["dead"], "newest_dead": age(found["newest"])}


def age(moment: Any) -> float | None:
    return (now() - moment).total_seconds() if moment else None


def ask_broker() -> Facts:
    url = settings.CELERY_BROKER_URL
    if url.startswith("memory://"):
        return {"queues": {}}
    client = redis_client(url)
    tick: Any = client.get(TICK)
    return {
        "queues": queues(client),
        "unacked": unacked(client),
        "memory_percent": memory_percent(client),
        "beat_silent_for": time.time() - float(tick) if tick else None,
    }


def queues(client: redis.Redis) -> Facts:
    """Each queue of ours, and each other list that messages lie in, with its priorities' lists."""
    found: Facts = {queue.name: {"waiting": 0, "oldest": None} for queue in settings.CELERY_TASK_QUEUES}
    # A list's name is as good as any: not to be decoded is no reason to fail.
    for key in client.scan_iter(count=1000, _type="list"):
        name = PRIORITY.sub("", key.decode(errors="replace"))
        if not name.endswith(REPLIES):
            # What is not the application's it may not read: that is no queue of its.
            with suppress(NoPermissionError):
                add(found, name, client, key)
    return found


def add(found: Facts, name: str, client: redis.Redis, key: bytes) -> None:
    # Kombu takes from the right.
    waiting, sent = client.llen(key), sent_at(client.lindex(key, -1))
    queue = found.setdefault(name, {"waiting": 0, "oldest": None})
    queue["waiting"] += waiting
    if sent is not None:
        queue["oldest"] = max(queue["oldest"] or 0, time.time() - sent)


def sent_at(message: Any) -> float | None:
    try:
        return float(json.loads(message)["headers"]["sent_at"])
    except (KeyError, TypeError, ValueError):
        # An older release's, or none of Celery's.
        return None


def unacked(client: redis.Redis) -> Facts:
    """Fetched by workers and not finished. Kombu's index holds when they were fetched."""
    first: Any = client.zrange("unacked_index", 0, 0, withscores=True)
    return {"count": client.hlen("unacked"), "oldest": time.time() - first[0][1] if first else None}


def memory_percent(client: redis.Redis) -> float | None:
    memory: Any = client.info("memory")
    return 100 * memory["used_memory"] / memory["maxmemory"] if memory["maxmemory"] else None
