"""A worker that lives but consumes nothing does not stay so."""

import time

from lab import playbook, proof
from lab.labs import Lab
from tests.lab.hosts import do

WHOLE, HANDS = "celery-worker@email", "celery-worker@celery"
CALL = "from core.tasks import forget_rate_limits; [forget_rate_limits.delay() for _ in range(20)]"


def process(lab: Lab, unit: str) -> str:
    return do(lab, f"systemctl show --property=MainPID --value {unit}").strip()


def test_a_worker_that_lives_and_consumes_nothing_is_restarted(lab: Lab, first_run: playbook.Progress) -> None:
    """One is stopped in its tracks. Of the other only the processes that do the work are."""
    stopped = {unit: process(lab, unit) for unit in (WHOLE, HANDS)}
    do(lab, f"kill -STOP {stopped[WHOLE]}; pkill -STOP --parent {stopped[HANDS]}")
    do(lab, f'saas manage shell --no-imports --command "{CALL}"')

    deadline = time.monotonic() + 180
    while any(process(lab, unit) in (old, "0") for unit, old in stopped.items()) and time.monotonic() < deadline:
        time.sleep(2)

    for unit, old in stopped.items():
        assert process(lab, unit) not in (old, "0")
        assert "Watchdog timeout" in do(lab, f"journalctl --unit {unit} --since -5min --output cat")
    assert "tasks wait, and it has begun none" in do(lab, f"journalctl --unit {HANDS} --since -5min --output cat")
    proof.prove(lab)
