from typing import Any

from django.conf import settings
from django.contrib.staticfiles.management.commands.runserver import Command as StaticFilesCommand

from core import embedded


class Command(StaticFilesCommand):
    help = f"{StaticFilesCommand.help} On memory:// it carries a Celery worker, since no other process could reach it."

    def inner_run(self, *args: Any, **options: Any) -> None:
        if settings.CELERY_BROKER_URL.startswith("memory://"):
            self.stdout.write("Tasks run in this process, since CELERY_BROKER_URL is memory://.")
            embedded.start_worker()
        super().inner_run(*args, **options)
