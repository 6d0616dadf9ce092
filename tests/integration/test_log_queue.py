"""LOG_STRATEGY=queue: a process writes what waits before it ends."""

import uuid
from pathlib import Path

from celery import Celery

from tests.integration.browser import Browser
from tests.integration.chatter import LINES
from tests.integration.conftest import Start
from tests.integration.servers import ROOT, Redis, free_port, listening, wait_until

QUEUE = {"LOG_STRATEGY": "queue", "CELERY_LOG_LEVEL": "INFO"}


def said(folder: Path, words: str) -> int:
    return sum(file.read_text().count(words) for file in folder.glob("celery_worker-*.log*"))


def test_a_child_that_is_replaced_and_a_worker_that_is_stopped(
    start: Start, redis_server: Redis, tmp_path: Path
) -> None:
    options = (
        "-Q",
        "chatter",
        "-c",
        "1",
        "--max-tasks-per-child",
        "1",
        "-I",
        "tests.integration.chatter",
        "-l",
        "info",
    )
    changes = {"PYTHONPATH": str(ROOT), "LOGS_DIR": str(tmp_path), **QUEUE}
    worker = start("celery", "-A", "config", "worker", *options, **changes)
    first, last = uuid.uuid4().hex, uuid.uuid4().hex
    with Celery(broker=redis_server.url(0), set_as_current=False) as sender:
        for name in (first, last):
            sender.send_task("tests.integration.chatter.chatter", [name], queue="chatter")
        wait_until(lambda: said(tmp_path, last), "the second child speaks", 60)
    worker.stop()

    assert [said(tmp_path, f" {name} ") for name in (first, last)] == [LINES, LINES]


def test_gunicorn_that_is_stopped(start: Start, tmp_path: Path) -> None:
    port = free_port()
    command = ("gunicorn", "-c", "python:config.gunicorn", "config.wsgi", "-b", f"127.0.0.1:{port}", "-w", "2")
    changes = {"LOGS_DIR": str(tmp_path / "logs"), **QUEUE}
    gunicorn = start(*command, "--control-socket", str(tmp_path / "control"), "--access-logfile", "-", **changes)
    wait_until(lambda: listening(port), "Gunicorn listens")
    browser = Browser(port)
    for number in range(100):
        browser.get(f"/nowhere-{number}/")

    gunicorn.stop()

    assert said(tmp_path / "logs", "GET /nowhere-") == 100
