from typing import Any

from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS


class Command(migrate.Command):
    help = f"{migrate.Command.help} What each says of itself is kept for releases that lack its file."

    def handle(self, *arguments: Any, **options: Any) -> None:
        try:
            super().handle(*arguments, **options)
        finally:
            # What was applied before another one failed, too.
            if options["database"] == DEFAULT_DB_ALIAS and not (options["plan"] or options["check_unapplied"]):
                from core.schema.releases import note  # noqa: PLC0415 - the models need not be there before

                note()
