"""Tasks that no service should have. Workers of the tests include this module."""

import os
import signal
import time
from typing import Any

from celery import Task, shared_task
from celery.exceptions import SoftTimeLimitExceeded

from core.durable.task import DurableTask
from core.models import TaskRecord


@shared_task(base=DurableTask, ignore_result=True)
def kill_own_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task(bind=True, base=DurableTask, ignore_result=True)
def hang_once(self: Task[Any, Any]) -> None:
    if TaskRecord.objects.get(pk=str(self.request.id)).attempts == 1:
        time.sleep(300)


@shared_task(base=DurableTask, ignore_result=True)
def hang_for_ever() -> None:
    time.sleep(300)


@shared_task(base=DurableTask, ignore_result=True, soft_time_limit=1, time_limit=2)
def run_past_the_limit() -> None:
    sleep_on()


@shared_task(ignore_result=True, soft_time_limit=1, time_limit=2)
def run_past_the_limit_plainly() -> None:
    sleep_on()


def sleep_on() -> None:
    while True:
        try:
            time.sleep(300)
        except SoftTimeLimitExceeded:
            continue


@shared_task(ignore_result=True)
def take(seconds: float) -> None:
    time.sleep(seconds)


@shared_task(ignore_result=True)
def hang() -> None:
    time.sleep(300)


kept: list[bytes] = []


@shared_task(ignore_result=True)
def leak(megabytes: int) -> None:
    # Written to, since the kernel gives out untouched memory in name only.
    kept.append(os.urandom(1 << 20) * megabytes)
