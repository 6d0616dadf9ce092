import time
from typing import Any

from celery import Task, shared_task
from django.utils.timezone import now

from core.durable.task import DurableTask

from .models import Run

SECONDS = 20


@shared_task(name="bench.tasks.work", bind=True, base=DurableTask, ignore_result=True)
def work(self: Task[Any, Any], call: int) -> None:
    run = Run.objects.create(call_id=call, worker=self.request.hostname)
    time.sleep(SECONDS)
    Run.objects.filter(pk=run.pk).update(ended_at=now())
