"""What this worker has fetched or runs, and the leases on it."""

import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from celery.worker import state
from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from core.durable.identity import IDENTITY
from core.durable.statements import LEASE
from core.durable.task import DurableTask, is_uuid
from core.models import TaskRecord

Held = dict[float, list[UUID]]
State = TaskRecord.State


def held(worker: Any) -> Held:
    """The durable tasks that this worker has fetched and not finished, by their time limits."""
    for _ in range(10):
        try:
            requests = [*state.reserved_requests, *limited(worker)]
        except RuntimeError:
            # The main thread changed the set meanwhile.
            time.sleep(0.001)
        else:
            return by_limit(request for request in requests if is_durable(request.task) and is_uuid(request.id))
    return {}


def limited(worker: Any) -> list[Any]:
    """Those that their task's rate limit holds back. Celery does not count them among the reserved."""
    buckets = list(worker.consumer.task_buckets.values())
    return [request for bucket in buckets if bucket for request, _ in bucket.contents]


def by_limit(requests: Iterable[Any]) -> Held:
    found: Held = defaultdict(list)
    for request in requests:
        found[limit_of(request)].append(UUID(request.id))
    return found


def limit_of(request: Any) -> float:
    """Seconds that its task may take."""
    return float(request.time_limits[0] or request.task.time_limit or settings.CELERY_TASK_TIME_LIMIT)


def is_durable(task: Any) -> bool:
    return isinstance(task, DurableTask)


def renew(tasks: Held) -> None:
    """Not beyond the time limit: pools of threads cannot enforce it, and the lease's end does it for them."""
    fetched = Q(state=State.PUBLISHED)
    for limit, ids in tasks.items():
        running = Q(state=State.RUNNING, worker__endswith=IDENTITY, started_at__gt=Now() - timedelta(seconds=limit))
        TaskRecord.objects.filter(running | fetched, pk__in=ids).update(due_at=Now() + LEASE)


def running(task_id: UUID) -> QuerySet[TaskRecord]:
    return TaskRecord.objects.filter(pk=task_id, state=State.RUNNING, worker__endswith=IDENTITY)
