import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from core.status import report


class Command(BaseCommand):
    help = "Print as JSON what the database and the broker know of queues, tasks and Beat. `saas status` judges it."
    # A check that needs the database would end with a traceback where this has something to say.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="as always; taken because others of our commands do")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(report(), indent=2))
