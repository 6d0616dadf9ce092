import re
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from core.schema.releases import Key, after_deploy, after_rollback, dotted, known, load, split


class Command(BaseCommand):
    help = (
        "Tell whether another release can live with the schema. It is asked of the newer release: `list` prints the "
        "migrations that its code knows, `check` exits with 1 and names what the other release could not live with."
    )
    # It must also answer where a check fails.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="print the migrations that this code knows")
        check = actions.add_parser("check", help="before a rollback, or with --planned before a deploy migrates")
        check.add_argument(
            "--against", required=True, type=Path, metavar="FILE", help="what `list` printed for the other release"
        )
        check.add_argument("--planned", action="store_true", help="judge what is yet to be applied, not what is")

    def handle(self, *, action: str, **options: Any) -> None:
        if action == "list":
            self.stdout.write("\n".join(sorted(map(dotted, known(load())))))
        else:
            self.check_against(read_list(options["against"]), options["planned"])

    def check_against(self, theirs: set[Key], planned: bool) -> None:
        try:
            findings = (after_deploy if planned else after_rollback)(load(), theirs)
        except DatabaseError as error:
            raise CommandError(f"The database could not be asked what is applied: {error}") from error
        remedy = BEFORE_A_DEPLOY if planned else BEFORE_A_ROLLBACK
        wrong = [f"{sentence} {remedy}" for sentence in findings.refused]
        unknown = [f"{dotted(key)} is applied, and neither release knows it." for key in findings.unknown]
        if planned:
            # The running release lives with them.
            self.stderr.writelines(f"{sentence}\n" for sentence in unknown)
        else:
            wrong += [f"{sentence} {NOT_NOTED}" for sentence in unknown]
        if wrong:
            raise CommandError("\n".join(wrong))
        self.stdout.write("The other release can live with the schema.")


BEFORE_A_DEPLOY = "Deploy what it waits for in a release of its own first, or split it: docs/migrations.md."
BEFORE_A_ROLLBACK = "Go back to a release that can, or mend the fault in a new one."
NOT_NOTED = "Nor is it noted what it does: deploy the code that has it, or ask who applied it."


def read_list(path: Path) -> set[Key]:
    try:
        lines = path.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The list {path} of the other release cannot be read: {error}") from error
    wrong = [line for line in lines if not re.fullmatch(r"\w+\.\w+", line)]
    if wrong or not lines:
        what = f"the line “{wrong[0]}”" if wrong else "nothing"
        raise CommandError(
            f"{path} holds {what}. It must be what `manage.py schema list` printed, like core.0001_initial."
        )
    return set(map(split, lines))
