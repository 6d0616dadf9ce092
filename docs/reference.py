"""Writes the generated parts of the reference from what they describe. `make docs` runs it, a test compares."""

import argparse
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml
from django import setup
from django.core.management import load_command_class

from saas.__main__ import parser as saas_parser

ROOT = Path(__file__).parents[1]
ANSIBLE, SYSTEMD = ROOT / "deploy/ansible", ROOT / "deploy/systemd"
COMMANDS = ROOT / "app/core/management/commands"


def cell(text: str) -> str:
    """Ansible's C(…) is Markdown's `…`."""
    return " ".join(re.sub(r"C\(([^)]*)\)", r"`\1`", text).split()).replace("|", "\\|")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), ["---"] * len(list(head)), *(map(cell, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def load(path: Path) -> dict[str, Any]:
    return (yaml.safe_load(path.read_text()) if path.exists() else None) or {}


def shown(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list | dict):
        value = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000).strip()
    return f"`{value}`" if value != "" else "empty"


def roles() -> str:
    """Each role's inputs that have a default."""
    parts = []
    for role in sorted(path for path in (ANSIBLE / "roles").iterdir() if path.is_dir()):
        spec = load(role / "meta/argument_specs.yml")["argument_specs"]["main"]
        defaults = load(role / "defaults/main.yml")
        if defaults:
            rows = ([f"`{name}`", shown(defaults[name]), spec["options"][name]["description"]] for name in defaults)
            head = f"### {role.name}\n\n{spec['short_description']}.\n\n"
            parts.append(head + table(["variable", "default", "meaning"], rows))
    return "\n\n".join(parts)


def wiring() -> str:
    values = load(ANSIBLE / "group_vars/all.yml")
    return table(
        ["variable", "value"], ([f"`{name}`", shown(value)] for name, value in values.items() if name[0] != "_")
    )


def secrets() -> str:
    specs = [
        load(path)["argument_specs"]["main"]["options"] for path in ANSIBLE.glob("roles/*/meta/argument_specs.yml")
    ]
    said = {name: spec["description"] for options in specs for name, spec in options.items()}
    names = load(ANSIBLE / "roles/secrets/defaults/main.yml")["secrets_names"]
    # “That user” is Flower's, which the role's line before names.
    said["secret_flower_password"] = "The password of Flower's user `flower`, at Flower as at nginx."  # noqa: S105 - its meaning
    return table(["variable", "meaning"], ([f"`{name}`", said[name]] for name in names))


def units() -> str:
    rows = []
    for path in sorted(SYSTEMD.iterdir()):
        if path.suffix in (".service", ".socket", ".slice", ".target"):
            text = path.read_text()
            files = re.findall(r"^EnvironmentFile=(\S+)", text, re.MULTILINE)
            memory = re.findall(r"^MemoryMax=(\S+)", text, re.MULTILINE)
            reads = f" Reads {', '.join(f'`{file}`' for file in files)}." if files else ""
            rows.append([f"`{path.name}`", opening(text) + reads, *(memory or [""])])
    return table(["unit", "what it is", "memory at most"], rows)


def drop_ins() -> str:
    files = [path for path in sorted(SYSTEMD.glob("*.d/*.conf")) if not path.is_symlink()]
    rows = [[f"`{path.parent.name}/{path.name}`", opening(path.read_text())] for path in files]
    return table(["file", "why"], rows)


def opening(text: str) -> str:
    """The comment with which a file begins, else the first one in it."""
    comment = re.search(r"^((?:#.*\n)+)", text, re.MULTILINE)
    return " ".join(line.lstrip("# ") for line in comment[1].splitlines()) if comment else ""


def targets() -> str:
    found = re.findall(r"^([a-z-]+):.*## (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return table(["command", "what it does"], ([f"`make {name}`", said] for name, said in sorted(found)))


def inputs(parser: argparse.ArgumentParser, besides: Iterable[str] = ()) -> list[list[str]]:
    actions = [action for action in parser._actions if action.dest not in {"help", *besides}]
    return [row for action in actions for row in rows_of(action)]


def rows_of(action: argparse.Action) -> list[list[str]]:
    if isinstance(action, argparse._SubParsersAction):
        steps = {choice.dest: choice.help or "" for choice in action._choices_actions}
        own = {name: " ".join(row[0] for row in inputs(parser)) for name, parser in action.choices.items()}
        return [[f"`{name}` {own[name]}".strip(), said] for name, said in steps.items()]
    value = str(action.metavar or action.dest.upper())
    if not action.option_strings:
        return [[f"`{value if action.metavar else action.dest}`", action.help or ", ".join(action.choices or ())]]
    names = ", ".join(f"`{name}`" for name in sorted(action.option_strings, key=len, reverse=True))
    return [[names if action.nargs == 0 else f"{names} {value}", action.help or ""]]


def saas() -> str:
    (commands,) = [action for action in saas_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    said = {choice.dest: choice.help or "" for choice in commands._choices_actions}
    parts = []
    for name, command in commands.choices.items():
        rows = inputs(command)
        parts.append(
            f"### saas {name}\n\n{said[name]}" + (f"\n\n{table(['argument', 'meaning'], rows)}" if rows else "")
        )
    return "\n\n".join(parts)


def manage() -> str:
    """Our own commands, without the options that every command of Django has."""
    setup()
    parts = []
    for path in sorted(COMMANDS.glob("[a-z]*.py")):
        command = load_command_class("core", path.stem)
        theirs = type(command).__bases__[0]().create_parser("manage.py", path.stem)
        rows = inputs(command.create_parser("manage.py", path.stem), [action.dest for action in theirs._actions])
        text = f"### manage.py {path.stem}\n\n{command.help}"
        parts.append(text + (f"\n\n{table(['argument', 'meaning'], rows)}" if rows else ""))
    return "\n\n".join(parts)


PARTS: tuple[Callable[[], str], ...] = (roles, wiring, secrets, units, drop_ins, targets, saas, manage)


def written(text: str) -> str:
    """The page with its generated parts as they should be."""
    for part in PARTS:
        name = part.__name__.replace("_", "-")
        begin, end = f"<!-- {name}: `make docs` writes this -->", f"<!-- end of {name} -->"
        if begin in text:
            before, _, rest = text.partition(begin)
            text = f"{before}{begin}\n\n{part()}\n\n{end}{rest.partition(end)[2]}"
    return text


if __name__ == "__main__":
    for page in sorted((ROOT / "docs").glob("*.md")):
        before = page.read_text()
        if (after := written(before)) != before:
            page.write_text(after)
            print(f"    {page.relative_to(ROOT)} has changed: commit it.")
