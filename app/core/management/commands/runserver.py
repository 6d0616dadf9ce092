import os
import signal
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.management.commands.runserver import Command as StaticFilesCommand
from django.core.management import call_command
from django.core.management.base import CommandParser
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

from core import embedded


class Command(StaticFilesCommand):
    help = f"{StaticFilesCommand.help} On memory:// it carries a Celery worker and Beat: no other process could."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--demo", action="store_true", help="Prepare the database first, as the command demo does.")

    def handle(self, *args: Any, **options: Any) -> None:
        if DJANGO_AUTORELOAD_ENV in os.environ:
            # It has nothing to clean up, and a KeyboardInterrupt may get lost, as in manage.py.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        elif options["demo"]:
            # Once, and not again with each reload.
            call_command("demo")
        super().handle(*args, **options)

    def inner_run(self, *args: Any, **options: Any) -> None:
        if settings.CELERY_BROKER_URL.startswith("memory://"):
            self.stdout.write("Tasks and Beat run in this process, since CELERY_BROKER_URL is memory://.")
            embedded.start_worker()
            embedded.start_beat()
        super().inner_run(*args, **options)
