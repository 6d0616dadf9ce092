"""The command `saas`, as far as it can be told without a host; tests/lab has the rest."""

import json
import os
import pty
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from saas import answers, findings, host, logs, manage, service, status
from saas.__main__ import main, parse, parser
from saas.findings import CRITICAL, OK, WARNING, Finding, Limits, span

DEPLOY = Path(__file__).parents[2] / "deploy"
ROLE = DEPLOY / "ansible/roles/operations"
LIMITS: Limits = {
    name.removeprefix("operations_"): value
    for name, value in yaml.safe_load((ROLE / "defaults/main.yml").read_text()).items()
    if name != "operations_cache"
}
BROKER = {
    "queues": {"email": {"waiting": 3, "oldest": 130.0}},
    "unacked": {"count": 0, "oldest": None},
    "memory_percent": None,
    "beat_silent_for": 1.0,
}
DATABASE = {
    **dict.fromkeys(("pending", "running", "postponed", "lost", "dead"), 0),
    **dict.fromkeys(("oldest", "longest", "newest_dead")),
}


def journalctl(*arguments: str) -> str:
    return " ".join(logs.command(parser().parse_args(["logs", *arguments])))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "saas", *arguments]
    return subprocess.run(argv, cwd=DEPLOY, capture_output=True, text=True, check=False)


def levels(found: list[Finding]) -> dict[str, int]:
    return {finding.name: finding.level for finding in found if finding.level}


def test_every_limit_is_an_input_of_the_role_and_is_written_to_the_host() -> None:
    template = (ROLE / "templates/etc/saas/limits.json.j2").read_text()
    written = re.findall(r'^  "(\w+)": {{ operations_(\w+) \| to_json }}', template, re.MULTILINE)

    assert list(LIMITS) == list(findings.MEANING)
    assert written == [(name, name) for name in LIMITS]


def test_what_is_written_to_the_host_is_json() -> None:
    template = (ROLE / "templates/etc/saas/limits.json.j2").read_text()

    assert list(json.loads(re.sub(r"{{.*?}}", "[1, 2]", template))) == list(LIMITS)


@pytest.mark.parametrize(
    "text", [None, "{", "[]", '{"oldest_task": [1, 2]}', json.dumps({**LIMITS, "disk_free": [1]}), '{"oldest_task": 7}']
)
def test_limits_that_cannot_be_used_are_neither_a_warning_nor_a_traceback(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(findings, "FILE", tmp_path / "limits.json")
    monkeypatch.setattr(sys, "argv", ["saas", "status"])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    if text is not None:
        findings.FILE.write_text(text)

    code = main()

    said = capsys.readouterr().err
    assert (code, said.count("\n")) == (3, 1)
    assert said.startswith(f"saas: the limits in {findings.FILE} cannot be used: ")


@pytest.mark.parametrize(
    "arguments", ["status --nonsense", "nonsense", "logs --lines", "logs --request=", "logs --task=", "logs --grep="]
)
def test_a_wrong_argument_is_no_state(arguments: str) -> None:
    ended = run(*arguments.split())

    assert (ended.returncode, ended.stderr.count("\n"), ended.stdout) == (3, 1, "")
    assert ended.stderr.startswith("saas")


def test_limits_that_can_be_used_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "FILE", tmp_path / "limits.json")
    findings.FILE.write_text(json.dumps(LIMITS))

    assert findings.load() == {name: tuple(pair) for name, pair in LIMITS.items()}


@pytest.mark.parametrize(("value", "level"), [(119, OK), (120, WARNING), (899, WARNING), (900, CRITICAL), (None, OK)])
def test_more_is_worse(value: float | None, level: int) -> None:
    assert findings.level(LIMITS, "oldest_task", value) == level


@pytest.mark.parametrize(("value", "level"), [(16, OK), (15, WARNING), (5.1, WARNING), (5, CRITICAL), (0, CRITICAL)])
def test_less_is_worse_where_the_critical_value_is_the_smaller(value: float, level: int) -> None:
    assert findings.level(LIMITS, "disk_free", value) == level


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ("", "journalctl --lines=200 _SYSTEMD_SLICE=saas.slice + SYSLOG_IDENTIFIER=nginx + _PID=1"),
        ("worker -f", "journalctl --follow --unit=celery-worker@*"),
        ("nginx -n 5", "journalctl --lines=5 --identifier=nginx"),
        ("celery-worker@email --since today", "journalctl --since=today --unit=celery-worker@email"),
        ("--request 4711", "journalctl REQUEST_ID=4711"),
        ("web --request 4711", "journalctl --unit=gunicorn@* REQUEST_ID=4711"),
        ("--task 4711", "journalctl TASK_ID=4711"),
        ("beat --errors -S 1h30m", "journalctl --since=-1h30m --priority=err --unit=celery-beat"),
        ("worker -g lost", "journalctl --grep=lost --lines=200 --unit=celery-worker@*"),
    ],
)
def test_logs_is_the_right_journalctl(arguments: str, command: str) -> None:
    assert journalctl(*arguments.split()) == command


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where Gunicorn listens on a host. Who connects is kept waiting."""
    monkeypatch.setattr(answers, "SOCKET", tmp_path / "web.sock")
    monkeypatch.setattr(answers, "SETTINGS", tmp_path / "saas.env")
    monkeypatch.setattr(answers, "SECONDS", 0.5)
    monkeypatch.setattr(answers, "flower_runs", lambda: False)
    answers.SETTINGS.write_text("SITE_URL=x\nALLOWED_HOSTS=example.org,www.example.org\n")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(answers.SOCKET))
        listening.listen()
        listening.settimeout(30)
        yield listening


def test_a_site_that_hangs_is_critical(web: socket.socket) -> None:
    (found,) = answers.answers(LIMITS)

    assert (found.level, found.name, found.text) == (CRITICAL, "site", "does not answer: timed out")


def test_a_site_that_never_stops_answering_is_critical(web: socket.socket) -> None:
    """Each word would begin the socket's time-out anew."""

    def drip() -> None:
        with web.accept()[0] as visitor, suppress(OSError):
            while True:
                visitor.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                time.sleep(0.1)

    Thread(target=drip).start()

    assert levels(answers.answers(LIMITS)) == {"site": CRITICAL}


@pytest.mark.parametrize(("status", "level"), [("200 OK", OK), ("503 Service Unavailable", CRITICAL)])
def test_a_site_that_answers_is_judged_by_its_status(web: socket.socket, status: str, level: int) -> None:
    asked = []

    def answer() -> None:
        with web.accept()[0] as visitor:
            asked.append(visitor.recv(4096).decode())
            visitor.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    thread = Thread(target=answer)
    thread.start()
    (found,) = answers.answers(LIMITS)
    thread.join()

    assert (found.level, found.facts["status"]) == (level, int(status[:3]))
    assert asked[0].startswith("GET /health/ HTTP/1.1\r\nHost: example.org\r\n")


def test_a_site_without_a_server_is_critical(web: socket.socket) -> None:
    web.close()

    assert levels(answers.answers(LIMITS)) == {"site": CRITICAL}


def test_flower_is_asked_where_it_listens() -> None:
    unit = (DEPLOY / "systemd/flower.service").read_text()
    settings = (DEPLOY / "ansible/roles/flower/templates/etc/saas/flower.env.j2").read_text()

    assert f"flower --port={answers.FLOWER_PORT} --url_prefix=flower " in unit
    assert "FLOWER_ADDRESS=" in settings
    assert f"EnvironmentFile={answers.FLOWER_SETTINGS}" in unit


def test_units_named_exist() -> None:
    named = {unit.removesuffix(".service").rstrip("*") for unit in host.UNITS}
    named |= {argument.partition("=")[2].rstrip("*") for (argument,) in logs.SOURCES.values() if "--unit" in argument}
    ours = {path.stem for path in (DEPLOY / "systemd").glob("*.service")}

    assert named - ours == {"nginx", "redis-server", "postgresql@"}


def test_units_that_are_to_run_are_known_by_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = tmp_path / "releases/4711"
    release.mkdir(parents=True)
    (tmp_path / "current").symlink_to(release)
    for name in ("worker-email.env", "gunicorn.env", "saas.env"):
        (tmp_path / name).touch()
    monkeypatch.setattr(host, "WANTED", tmp_path)
    monkeypatch.setattr(manage, "RELEASE", tmp_path / "current")

    assert host.wanted() == {"celery-worker@email.service", "gunicorn@4711.service"}


def worker(name: str, state: str) -> host.Unit:
    return {
        "Id": name,
        "ActiveState": state,
        "SubState": "stop-sigterm",
        "NRestarts": "0",
        "StateChangeTimestampMonotonic": "0",
    }


@pytest.mark.parametrize(
    ("state", "other", "level"),
    [
        ("deactivating", "celery-worker@email-next.service", OK),
        ("activating", "celery-worker@email-next.service", OK),
        ("deactivating", "celery-worker@celery-next.service", CRITICAL),
        ("failed", "celery-worker@email-next.service", CRITICAL),
    ],
)
def test_a_worker_that_finishes_while_its_double_works_is_as_it_should_be(state: str, other: str, level: int) -> None:
    found = host.judge_unit(LIMITS, worker("celery-worker@email.service", state), 1, {other})

    assert found.level == level


def test_so_is_the_double() -> None:
    double = worker("celery-worker@email-next.service", "deactivating")

    assert host.judge_unit(LIMITS, double, 1, {"celery-worker@email.service"}).level == OK


def test_what_manage_runs_has_the_sandbox_and_is_told_its_arguments_as_they_are() -> None:
    folder = DEPLOY / "systemd/saas-manage-.service.d"

    assert manage.UNIT.startswith(folder.name.removesuffix(".service.d"))
    assert (folder / "sandbox.conf").resolve() == DEPLOY / "systemd/sandbox.conf"
    assert manage.command(["shell", "a b", "$HOME"], "--pipe")[-4:] == ["manage.py", "shell", "a b", "$$HOME"]


@pytest.mark.parametrize("arguments", ["", "--version", "--help", "-v 2 check", "shell -- --command x", "manage"])
def test_what_stands_behind_manage_is_passed_on_as_it_is(arguments: str) -> None:
    parsed = parse(["manage", *arguments.split()])

    assert (parsed.run, parsed.arguments) == (manage.run, arguments.split())


WHICH_ARE_TERMINALS = "import os, sys; print(*map(os.isatty, range(3)), file=sys.stderr); sys.exit(7)"


@pytest.mark.parametrize("own", [{"stdin", "stderr"}, {"stdout", "stderr"}])
def test_what_it_runs_gets_no_end_of_roots_terminal(own: set[str]) -> None:
    """`saas manage … | less`, and `… | saas manage …`: from a terminal that is written to one can also read."""
    code = f"import sys; from saas import manage; manage.passed_on([sys.executable, '-c', {WHICH_ARE_TERMINALS!r}])"
    screen, terminal = pty.openpty()
    streams: Any = {name: terminal if name in own else subprocess.PIPE for name in ("stdin", "stdout", "stderr")}

    subprocess.run([sys.executable, "-c", code], cwd=DEPLOY, **streams, timeout=20, check=True)
    assert os.read(screen, 1000).decode().split() == ["False", "False", "False"]


def test_its_exit_code_is_passed_on() -> None:
    assert manage.passed_on([sys.executable, "-c", WHICH_ARE_TERMINALS]) == 7


def test_ctrl_c_ends_it_without_a_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(argv: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(manage, "RELEASE", tmp_path)
    monkeypatch.setattr(manage, "passed_on", interrupted)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(sys, "argv", ["saas", "manage", "check"])

    assert main() == 130


def test_arguments_do_not_reach_the_journal() -> None:
    (description,) = [part for part in manage.command(["task", "secret"]) if part.startswith("--description")]

    assert description == "--description=manage.py task"


def test_a_queue_is_judged_by_its_oldest_message() -> None:
    assert levels(service.broker(LIMITS, BROKER)) == {"queue email": WARNING}


def test_a_beat_without_a_trace_is_critical() -> None:
    assert levels(service.broker(LIMITS, {**BROKER, "queues": {}, "beat_silent_for": None})) == {"beat": CRITICAL}


def test_tasks_are_judged() -> None:
    wrong = {**DATABASE, "oldest": 1000.0, "lost": 1, "dead": 1, "newest_dead": 60.0}

    assert levels(service.database(LIMITS, DATABASE)) == {}
    assert levels(service.database(LIMITS, wrong)) == {
        "tasks": CRITICAL,
        "tasks running": WARNING,
        "dead letters": WARNING,
    }


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172800, "2 d")]
)
def test_spans_are_short(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_what_the_service_says_does_not_speak_to_a_terminal() -> None:
    found = [Finding(WARNING, "queue \x1b[2J", "fails: \x1b]0;owned\x07\nok\x9b")]

    shown = status.as_text(found, WARNING)

    assert re.findall(r"[^\n -~]", shown) == []
    assert len(shown.splitlines()) == 3


def test_the_name_of_a_unit_is_no_option_of_systemctl(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def remember(argv: tuple[str, ...], **_: object) -> subprocess.CompletedProcess[bytes]:
        asked.append(argv)
        return subprocess.CompletedProcess(argv, 0, b"")

    monkeypatch.setattr(subprocess, "run", remember)

    logs.known("-Hroot@example.org")

    assert all("--" in argv for argv in asked if argv[0] == "systemctl")


@pytest.mark.parametrize("facts", [None, [], {"database": None}, {"database": {}, "broker": {}}])
def test_an_answer_of_another_shape_hides_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: object
) -> None:
    monkeypatch.setattr(manage, "RELEASE", tmp_path)
    monkeypatch.setattr(service, "ask", lambda: facts)

    (found,) = status.attempt(service.look, LIMITS)

    assert found.level == CRITICAL
