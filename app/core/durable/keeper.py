"""A thread in each worker's first process: renews the leases of its tasks, and sweeps."""

import logging
import random
import time
from threading import Event, Thread
from typing import Any
from uuid import UUID

from celery import Celery, bootsteps
from celery.exceptions import TimeLimitExceeded
from celery.signals import task_failure, task_revoked
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.db.models import F
from django.db.models.functions import Now

from core.durable import composing, letters
from core.durable.ending import fail
from core.durable.leases import held, is_durable, renew, running
from core.durable.sweeper import BATCH, sweep
from core.durable.task import is_uuid
from core.models import TaskRecord

log = logging.getLogger(__name__)
EVERY = 8.0
JITTER = 0.2
# How long another worker may need to renew its leases after this one could: the longest pause, and a connection.
SETTLING = EVERY * (1 + JITTER) + 5
State = TaskRecord.State


class Keeper(Thread):
    def __init__(self, worker: Any) -> None:
        super().__init__(name="durable-keeper", daemon=True)
        self.worker = worker
        self.app: Celery = worker.app
        self.wake, self.closing = Event(), Event()
        self.lost: set[UUID] = set()
        self.too_long: dict[UUID, TimeLimitExceeded] = {}
        self.revoked: set[UUID] = set()
        # After a start or an outage of the database, leases are renewed by all before anybody sweeps.
        self.renewing_since: float | None = None

    def run(self) -> None:
        while not (self.closing.is_set() and not held(self.worker)):
            seconds = self.tick()
            # Not in step with other workers.
            self.wake.wait(seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311
            self.wake.clear()
        connection.close()

    def tick(self) -> float:
        """Do what is to be done now; return the seconds until there may be more."""
        try:
            close_old_connections()
            self.look_after_own()
            if self.sweep_if_settled():
                return 0
            return min(EVERY, seconds_to_next())
        except (DatabaseError, InterfaceError) as error:
            self.renewing_since = None
            log.warning("The database is away: %s", type(error).__name__)
            connection.close()
        except Exception as error:
            log.warning("Nothing can be published: %s: %s", type(error).__name__, error)
        return EVERY

    def sweep_if_settled(self) -> bool:
        if self.closing.is_set():
            return False
        if self.renewing_since is None:
            self.renewing_since = time.monotonic()
        if time.monotonic() - self.renewing_since < SETTLING:
            return False
        return sweep(self.app) == BATCH

    def look_after_own(self) -> None:
        renew(held(self.worker))
        for task_id in list(self.lost):
            running(task_id).update(due_at=Now())
            self.lost.discard(task_id)
        for task_id, error in list(self.too_long.items()):
            bury(self.app, task_id, error)
            del self.too_long[task_id]
        for task_id in list(self.revoked):
            TaskRecord.objects.filter(pk=task_id, closed_at=None).exclude(state=State.RUNNING).update(
                state=State.DONE, closed_at=Now(), payload=""
            )
            self.revoked.discard(task_id)


def bury(app: Celery, task_id: UUID, error: TimeLimitExceeded) -> None:
    """What took too long once would most likely do so again."""
    for record in running(task_id):
        fail(app, record, composing.compose(record, error, letters.TIME_LIMIT))


def seconds_to_next() -> float:
    waits = TaskRecord.objects.filter(closed_at=None).order_by("due_at").values_list(F("due_at") - Now(), flat=True)
    wait = waits.first()
    return max(1.0, wait.total_seconds()) if wait is not None else EVERY


class KeeperStep(bootsteps.StartStopStep):
    """Starts after the pool has forked its processes. It goes on while the pool is being stopped."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self.keeper: Keeper | None = None

    def start(self, worker: Any) -> None:
        self.keeper = Keeper(worker)
        self.keeper.start()
        task_failure.connect(self.on_failure, weak=False)
        task_revoked.connect(self.on_revoked, weak=False)

    def stop(self, worker: Any) -> None:
        if self.keeper:
            self.keeper.closing.set()
            self.keeper.wake.set()
        task_failure.disconnect(self.on_failure)
        task_revoked.disconnect(self.on_revoked)

    def on_failure(self, sender: Any, task_id: str, exception: Any, **kwargs: Any) -> None:
        """Sent in this process for a child that died or was killed at the time limit."""
        if not (self.keeper and is_durable(sender) and is_uuid(task_id)):
            return
        if isinstance(exception, TimeLimitExceeded):
            self.keeper.too_long[UUID(task_id)] = exception
        else:
            self.keeper.lost.add(UUID(task_id))
        self.keeper.wake.set()

    def on_revoked(self, sender: Any, request: Any, terminated: bool = False, **kwargs: Any) -> None:
        # What was cut off in the middle has not been revoked: stopping a worker does that too.
        if self.keeper and is_durable(sender) and is_uuid(request.id) and not terminated:
            self.keeper.revoked.add(UUID(request.id))
            self.keeper.wake.set()
