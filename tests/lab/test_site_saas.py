"""The command `saas` on a deployed machine, and on one that has only part of the site."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lab import machine, paths, podman, proof
from lab.labs import Lab
from tests.lab.hosts import do, shell, wait_until_shown

pytestmark = pytest.mark.usefixtures("first_run")
UNITS = ("celery-beat", "celery-worker@celery", "celery-worker@email", "flower", "nginx", "redis-server")


def status(lab: Lab) -> Any:
    return json.loads(shell(lab, "saas status --json").text)


def levels(lab: Lab) -> dict[str, str]:
    # Free space on the lab's disk is not the lab's doing.
    return {item["name"]: item["level"] for item in status(lab)["findings"] if not item["name"].startswith("disk")}


@contextmanager
def stopped(lab: Lab, unit: str) -> Iterator[None]:
    name = do(lab, f"systemctl list-units --plain --no-legend '{unit}' | cut --delimiter ' ' --fields 1").strip()
    do(lab, f"systemctl kill --signal STOP {name}")
    try:
        yield
    finally:
        do(lab, f"systemctl kill --signal CONT {name}")


def test_all_is_fine_on_a_machine_that_was_just_deployed(lab: Lab) -> None:
    wait_until_shown(lab, "saas status", "woke up")

    assert [name for name, level in levels(lab).items() if level != "ok"] == []
    assert set(UNITS) < set(levels(lab))
    assert {"site", "flower page", "queue email", "tasks", "dead letters", "beat", "certificate"} < set(levels(lab))


def test_it_names_the_release(lab: Lab) -> None:
    release = do(lab, "basename $(readlink /srv/saas/current)").strip()

    assert status(lab)["release"] == release
    assert f"saas, release {release}" in do(lab, "saas status")


@pytest.mark.parametrize(
    ("unit", "missing"), [("redis-server.service", "broker"), ("postgresql@*.service", "database")]
)
def test_it_shows_the_rest_when_a_server_is_silent(lab: Lab, unit: str, missing: str) -> None:
    with stopped(lab, unit):
        ended = shell(lab, "saas status")

    assert ended.code == 2
    assert f"CRITICAL {missing} " in ended.text
    assert ("dead letters" if missing == "broker" else "queue email") in ended.text


def test_flower_that_hangs_is_critical(lab: Lab) -> None:
    with stopped(lab, "flower.service"):
        assert levels(lab)["flower page"] == "critical"


def test_a_worker_that_is_disabled_and_stopped_is_critical(lab: Lab) -> None:
    worker = "celery-worker@email"
    do(lab, f"systemctl disable --now {worker}")
    try:
        assert levels(lab)[worker] == "critical"
    finally:
        do(lab, f"systemctl enable --now {worker}")


def test_it_shows_the_rest_when_the_application_cannot_start(lab: Lab) -> None:
    do(lab, "cp -p /etc/saas/saas.env /root/saas.env && echo CELERY_NONSENSE=1 >>/etc/saas/saas.env")
    try:
        ended = shell(lab, "saas status")
    finally:
        do(lab, "mv /root/saas.env /etc/saas/saas.env")

    assert ended.code == 2
    assert "CRITICAL application" in ended.text
    assert "CELERY_NONSENSE has no effect" in ended.text
    assert "ok       nginx" in ended.text


def test_it_asks_for_root(lab: Lab) -> None:
    ended = shell(lab, "saas status", user="admin")

    assert (ended.code, ended.text) == (3, "saas: this needs root, so run it with sudo.\n")
    assert "saas, release" in do(lab, "su admin --command 'sudo saas status'")


def test_it_explains_itself(lab: Lab) -> None:
    assert shell(lab, "saas").text == do(lab, "saas --help")
    assert "15 / 5  percent of a file system that are free" in do(lab, "saas status --help")


def python(script: str) -> str:
    return shlex.join(["saas", "manage", "shell", "--no-imports", "--command", script])


def test_manage_passes_arguments_input_and_exit_code_on(lab: Lab) -> None:
    script = """import sys; print(sys.stdin.read(), "$HOME", '%n', "a  b"); sys.exit(7)"""

    ended = shell(lab, f"echo typed | {python(script)}")

    assert (ended.code, ended.text) == (7, "typed\n $HOME %n a  b\n")


def test_manage_runs_as_the_service_does(lab: Lab) -> None:
    ended = shell(lab, python("import os; print(os.getuid(), os.getcwd()); open('new', 'w')"))

    user = do(lab, "id --user saas").strip()
    assert ended.text.startswith(f"{user} /srv/saas/releases/")
    assert "Read-only file system" in ended.text


def test_manage_works_on_a_terminal(lab: Lab) -> None:
    command = python("import os; print(os.isatty(0)); raise SystemExit(4)")

    ended = shell(lab, f"script --quiet --return --command {shlex.quote(command)} /dev/null </dev/null")

    assert (ended.code, "True" in ended.text) == (4, True)


@pytest.mark.parametrize("server", ["redis", "postgresql"])
def test_logs_shows_what_the_servers_say(lab: Lab, server: str) -> None:
    assert "eady to accept connections" in do(lab, f"saas logs {server} --since today")


@pytest.mark.parametrize("unit", ["nosuch", "celery-worker@nosuch"])
def test_logs_says_that_there_is_no_such_unit(lab: Lab, unit: str) -> None:
    ended = shell(lab, f"saas logs {unit}")

    assert (ended.code, ended.text) == (1, f"saas: there is no unit {unit} on this host.\n")


@pytest.mark.parametrize("unit", ["celery-worker@email", "celery-worker@email.service", "celery-worker@*", "ssh"])
def test_logs_knows_units(lab: Lab, unit: str) -> None:
    ended = shell(lab, f"saas logs '{unit}' --lines 1")

    assert "there is no unit" not in ended.text


def test_logs_prints_its_command_and_then_the_lines(lab: Lab) -> None:
    command, *lines = do(lab, "saas logs worker --lines 20").splitlines()

    assert command == "journalctl --lines=20 '--unit=celery-worker@*'"
    assert " celery[" in "".join(lines)


def test_logs_tells_the_story_of_a_request(lab: Lab) -> None:
    request = proof.visit(lab).browser.get("/accounts/login/").headers["X-Request-ID"]
    command = f"saas logs --request {request}"

    story = wait_until_shown(lab, command, "nginx[").text

    assert story.startswith(f"journalctl REQUEST_ID={request}\n")
    assert story.count("GET") == 2
    assert " gunicorn[" in story


def test_what_is_not_on_a_host_is_not_shown(lab: Lab, debian: str) -> None:
    """As on one that belongs to no group yet: the command is there, and nothing else."""
    machine.ensure(lab, "bare", number=12, debian=debian)
    try:
        podman.podman("cp", str(paths.ROOT / "deploy/saas"), f"{lab.container('bare')}:/usr/local/lib/saas")
        limits = do(lab, "cat /etc/saas/limits.json")
        machine.execute(lab, "bare", "mkdir", "/etc/saas")
        machine.execute(lab, "bare", "tee", "/etc/saas/limits.json", stdin=limits)
        saas = "PYTHONPATH=/usr/local/lib python3 -PB -m saas"

        shown = json.loads(shell(lab, f"{saas} status --json", host="bare").text)
        refused = shell(lab, f"{saas} manage check", host="bare")
    finally:
        podman.remove(lab.container("bare"))

    assert {item["name"].split()[0] for item in shown["findings"]} == {"disk"}
    assert refused.text == "saas: there is no release on this host; run this on one that has the application.\n"
