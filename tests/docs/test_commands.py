"""What the documents have people type exists, with its options."""

import argparse
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from saas.__main__ import Parser, parse
from tests.docs.pages import PAGES, ROOT, blocks, commands, name

ANSIBLE = ROOT / "deploy/ansible"
SYSTEMD = ROOT / "deploy/systemd"
ROLES = {path.name for path in (ANSIBLE / "roles").iterdir()}
# Debian's, which the roles install or look after.
DEBIAN = {"nginx", "postgresql", "postgresql@", "redis-server", "nftables", "certbot", "certbot.timer", "saas-deploy"}


@cache
def playbook_options() -> set[str]:
    tool = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run([tool, "--help"], capture_output=True, text=True, check=True)
    return set(re.findall(r"(?<![\w-])(--?[a-z][\w-]*)", done.stdout))


def test_there_are_some_of_each() -> None:
    few = {tool: len(commands(tool)) for tool in ("ansible-playbook", "make", "saas", "manage.py", "systemctl")}

    assert all(count > 3 for count in few.values()), few


@pytest.mark.parametrize("command", commands("ansible-playbook"))
def test_playbooks(command: str) -> None:
    given = shlex.split(command)

    assert [word for word in given if word.endswith(".yml") and not (ANSIBLE / word).exists()] == []
    assert {word for word in given if word.startswith("-")} - playbook_options() == set()
    assert {given[i + 1] for i, word in enumerate(given) if word == "--tags"} - ROLES == set()


@pytest.mark.parametrize("command", commands("make"))
def test_targets(command: str) -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert shlex.split(command)[0] in targets


def refuse(parser: argparse.ArgumentParser, message: str) -> None:
    pytest.fail(f"{parser.prog}: {message}")


@pytest.mark.parametrize("command", commands("saas"))
def test_the_command_saas(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Parser, "error", refuse)
    given = shlex.split(command.replace("…", "x"))

    parse(given)

    if given[0] == "manage":
        check_management_command(given[1:])


@pytest.mark.parametrize("command", commands("manage.py"))
def test_management_commands(command: str) -> None:
    # The page that makes the application `notes` migrates it, and the tutorial runs the tests.
    check_management_command(shlex.split(command))


def check_management_command(given: list[str]) -> None:
    assert given[0] in get_commands(), given
    parser = load_command_class(get_commands()[given[0]], given[0]).create_parser("manage.py", given[0])
    parser.parse_args(given[1:])


@pytest.mark.parametrize("command", commands("systemctl"))
def test_units(command: str) -> None:
    _, *given = [word for word in shlex.split(re.sub(r"\$\(.*\)", "x", command)) if not word.startswith("-")]
    ours = {path.name.removesuffix(".service") for path in SYSTEMD.iterdir()}

    named = {re.sub(r"@.*", "@", word).removesuffix(".service") for word in given if word != "KILL"}
    assert named - ours - DEBIAN == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_shell_can_read_it(page: Path) -> None:
    for code in blocks(page, "sh"):
        text = re.sub(r"<[\w ]+>", "x", code)
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, code + done.stderr
