import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from core.health import broker_answers, database_answers

OK, NO_DATABASE, NO_BROKER = 0, 1, 2


class Command(BaseCommand):
    help = (
        "Ask the database and the broker. Exits with 0 when both answer, 1 without the database, 2 without the broker."
    )
    # A check that needs the database would say the same with a traceback.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        answers = {"database": database_answers(), "broker": broker_answers()}
        if options["json"]:
            self.stdout.write(json.dumps(answers))
        else:
            for part, answer in answers.items():
                self.stdout.write(f"{part}: {'ok' if answer else 'does not answer'}")
        sys.exit(exit_code(**answers))


def exit_code(database: bool, broker: bool) -> int:
    if not database:
        return NO_DATABASE
    return OK if broker else NO_BROKER
