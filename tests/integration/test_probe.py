"""`manage.py probe` goes through each queue to a real worker."""

import json
import signal
import subprocess
import sys

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

    command = [sys.executable, "manage.py", "probe"]
    done = subprocess.run(command, cwd=APP, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "No worker has answered through the queue email" in done.stderr
    process.stop(signal.SIGTERM)
