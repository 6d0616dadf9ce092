import json
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet
from django.forms.models import model_to_dict
from django.utils.timezone import now

from core.durable.operations import RefusedError, discard, requeue
from core.models import DeadLetter

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def age(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([smhd])", text)
    if not found:
        raise ArgumentTypeError(f"An age is a number and s, m, h or d, like 90m; not “{text}”.")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


class Command(BaseCommand):
    help = "List, show, requeue or discard what finally failed. Exits with 1 when a letter named is not there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("list", "show", "requeue", "discard"))
        parser.add_argument("ids", nargs="*", metavar="id", help="task ids")
        parser.add_argument("--all", action="store_true", help="all letters that the filters leave")
        parser.add_argument("--task", help="only of this task, like core.tasks.send_welcome_email")
        parser.add_argument(
            "--older-than", type=age, metavar="AGE", help="only those that failed before, like 2d or 90m"
        )
        parser.add_argument("--newer-than", type=age, metavar="AGE", help="only those that failed since")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *, action: str, ids: list[str], **options: Any) -> None:
        letters = self.chosen(ids, options)
        filtered = options["all"] or any(options[name] is not None for name in ("task", "older_than", "newer_than"))
        if action in ("requeue", "discard") and not ids and not filtered:
            raise CommandError(f"Say which to {action}: ids, --task, --older-than, --newer-than or --all.")
        if action == "show" and not ids and not filtered:
            raise CommandError("Say which to show: ids, or --all.")
        {"list": self.list, "show": self.show, "requeue": self.requeue, "discard": self.discard}[action](
            letters, options["json"]
        )

    def chosen(self, ids: list[str], options: dict[str, Any]) -> "QuerySet[DeadLetter]":
        letters = DeadLetter.objects.order_by("failed_at")
        if ids:
            letters = letters.filter(pk__in=ids)
            missing = set(ids) - set(letters.values_list("pk", flat=True))
            if missing:
                raise CommandError(f"There is no dead letter {', '.join(sorted(missing))}.")
        if options["task"] is not None:
            letters = letters.filter(task=options["task"])
        if options["older_than"] is not None:
            letters = letters.filter(failed_at__lt=now() - options["older_than"])
        if options["newer_than"] is not None:
            letters = letters.filter(failed_at__gte=now() - options["newer_than"])
        return letters

    def print_json(self, value: Any) -> None:
        self.stdout.write(json.dumps(value, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False))

    def list(self, letters: "QuerySet[DeadLetter]", as_json: bool) -> None:
        if as_json:
            self.print_json([model_to_dict(letter, exclude=["traceback"]) for letter in letters])
            return
        for letter in letters:
            first_line = letter.exception.partition("\n")[0]
            self.stdout.write(f"{letter.pk}  {letter.failed_at:%Y-%m-%d %H:%M:%S}  {letter.task}  {first_line}")
        self.stderr.write(f"{letters.count()} dead letters")

    def show(self, letters: "QuerySet[DeadLetter]", as_json: bool) -> None:
        rows = [model_to_dict(letter) for letter in letters]
        if as_json:
            self.print_json(rows)
            return
        for row in rows:
            self.stdout.write("\n".join(f"{name}: {value}" for name, value in row.items()) + "\n")

    def requeue(self, letters: "QuerySet[DeadLetter]", as_json: bool) -> None:
        self.act(letters, requeue, "requeued", as_json)

    def discard(self, letters: "QuerySet[DeadLetter]", as_json: bool) -> None:
        self.act(letters, discard, "discarded", as_json)

    def act(
        self, letters: "QuerySet[DeadLetter]", action: Callable[[DeadLetter], None], done: str, as_json: bool
    ) -> None:
        handled, refused = [], {}
        for letter in letters:
            key = letter.pk
            try:
                action(letter)
            except RefusedError as error:
                refused[key] = str(error)
            else:
                handled.append(key)
        if as_json:
            self.print_json({done: handled, "refused": refused})
        else:
            self.stdout.write(f"{len(handled)} dead letters {done}.")
        if refused:
            raise CommandError("\n".join(refused.values()))
