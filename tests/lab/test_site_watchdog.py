"""A worker that lives but consumes nothing does not stay so."""

import time

from lab import machine, playbook, proof
from lab.labs import Lab

UNIT = "celery-worker@email"


def process(lab: Lab) -> str:
    return machine.execute(lab, "saas", "systemctl", "show", "--property=MainPID", "--value", UNIT).strip()


def test_a_worker_that_was_stopped_in_its_tracks_is_restarted(lab: Lab, first_run: playbook.Progress) -> None:
    stopped = process(lab)
    machine.execute(lab, "saas", "kill", "-STOP", stopped)

    deadline = time.monotonic() + 150
    while process(lab) in (stopped, "0") and time.monotonic() < deadline:
        time.sleep(2)

    assert process(lab) not in (stopped, "0")
    journal = machine.execute(lab, "saas", "journalctl", "--unit", UNIT, "--since", "-5min", "--output", "cat")
    assert "Watchdog timeout" in journal
    proof.prove(lab)
