"""`manage.py probe` goes through each queue to a real worker."""

import json
import signal
import subprocess
import sys

import redis
from celery import Celery

from tests.integration.conftest import Environment, Start, manage
from tests.integration.servers import APP, ROOT, wait_until

WORKER = ("celery", "-A", "config", "worker", "-l", "info", "-c", "1")


def test_it_names_the_release_that_answers_through_each_queue(environment: Environment, start: Start) -> None:
    process = start(*WORKER, "-Q", "email,celery")
    wait_until(lambda: " ready." in process.output(), "the worker is ready")

    answers = json.loads(manage(environment, "probe"))

    assert answers == dict.fromkeys(("celery", "email", "dead_letter"), ROOT.name)
    process.stop(signal.SIGTERM)


def test_it_names_a_queue_that_nobody_consumes(environment: Environment, start: Start) -> None:
    process = start(*WORKER, "-Q", "celery")
    wait_until(lambda: " ready." in process.output(), "the worker is ready")

    command = [sys.executable, "manage.py", "probe", "--seconds=10"]
    done = subprocess.run(command, cwd=APP, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "No worker has answered through the queue email" in done.stderr
    process.stop(signal.SIGTERM)


def test_it_does_not_wait_behind_what_waits_already(environment: Environment, sender: Celery) -> None:
    sender.send_task("core.tasks.cleanup_expired_tokens", queue="celery")

    subprocess.run([sys.executable, "manage.py", "probe", "--seconds=0"], cwd=APP, env=environment, check=False)

    with redis.Redis.from_url(environment["CELERY_BROKER_URL"]) as client:
        (next_one,) = client.lrange("celery", -1, -1)
        client.delete("celery", "email", "dead_letter")
    assert json.loads(next_one)["headers"]["task"] == "core.tasks.report_release"
