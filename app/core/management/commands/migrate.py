from typing import Any

from django.core.management.commands import migrate
from django.db.migrations import Migration


class Command(migrate.Command):
    help = f"{migrate.Command.help} What each says of itself is kept for releases that lack its file."

    def migration_progress_callback(self, action: str, migration: Migration | None = None, fake: bool = False) -> Any:
        super().migration_progress_callback(action, migration, fake)
        if action == "apply_success" and migration:
            from core.schema.releases import note  # noqa: PLC0415 - it takes the models along, which need not be there

            note(migration)
