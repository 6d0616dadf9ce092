import json
from typing import Any

from celery.exceptions import TimeoutError as TooLateError
from celery.result import AsyncResult
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core.tasks import report_release

SECONDS = 20


class Command(BaseCommand):
    help = f"Send a task through each queue; print the release that answers, as JSON. Fails after {SECONDS} s."

    def handle(self, *args: Any, **options: Any) -> None:
        names = [queue.name for queue in settings.CELERY_TASK_QUEUES]
        sent = {name: report_release.apply_async(queue=name, expires=SECONDS) for name in names}
        self.stdout.write(json.dumps({name: answer(name, result) for name, result in sent.items()}))


def answer(queue: str, result: AsyncResult[str]) -> str:
    try:
        return str(result.get(timeout=SECONDS))
    except TooLateError:
        raise CommandError(f"No worker has answered through the queue {queue} within {SECONDS} s.") from None
