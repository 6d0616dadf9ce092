import json
import time
from typing import Any

from celery.exceptions import TimeoutError as TooLateError
from celery.result import AsyncResult
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.broker import FIRST
from core.tasks import report_release

# A worker may have to finish a task or two before.
SECONDS = 60


class Command(BaseCommand):
    help = "Send a task through each queue, before all that waits there; print the release that answers, as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=float, default=SECONDS, help=f"to wait for all of them; {SECONDS}")

    def handle(self, *args: Any, seconds: float = SECONDS, **options: Any) -> None:
        names = [queue.name for queue in settings.CELERY_TASK_QUEUES]
        end = time.monotonic() + seconds
        sent = {name: report_release.apply_async(queue=name, expires=seconds, headers={FIRST: "yes"}) for name in names}
        self.stdout.write(json.dumps({name: answer(name, result, end) for name, result in sent.items()}))


def answer(queue: str, result: AsyncResult[str], end: float) -> str:
    left = max(0.0, end - time.monotonic())
    try:
        return str(result.get(timeout=left))
    except TooLateError:
        raise CommandError(f"No worker has answered through the queue {queue} in time.") from None
    except Exception as error:
        # Whatever the task has raised.
        raise CommandError(f"The task through the queue {queue} has failed: {error!r}") from None
