"""Processes of the release on the machine that write numbered records at once."""

from collections import Counter

from lab import machine
from lab.labs import Lab

SCRIPT = """
import config.wsgi, logging, os
children = []
for writer in range({writers}):
    child = os.fork()
    if not child:
        for number in range({records}):
            logging.getLogger("core").info(f"{run} {{writer}} {{number}} {{'x' * 100}}")
        logging.shutdown()
        os._exit(0)
    children.append(child)
raise SystemExit(any([os.waitpid(child, 0)[1] for child in children]))
"""


def write(lab: Lab, run: str, writers: int, records: int) -> None:
    """As a service of the application would: its user, its settings, its standard output."""
    program = ["/srv/saas/current/.venv/bin/python", "-c", SCRIPT.format(run=run, writers=writers, records=records)]
    unit = [f"--unit=write-{run}", "--uid=saas", "--property=EnvironmentFile=/etc/saas/saas.env"]
    place = ["--working-directory=/srv/saas/current/app", "--setenv=PYTHONDONTWRITEBYTECODE=1", "--property=UMask=0077"]
    machine.execute(lab, "saas", "systemd-run", "--quiet", "--wait", *unit, *place, *program)


def numbers(lines: list[str], run: str) -> Counter[tuple[int, int]]:
    """How often each record is there, whole."""
    words = [line.partition(f"{run} ")[2].split() for line in lines if f"{run} " in line]
    whole = [word for word in words if len(word) == 3 and word[2] == "x" * 100]
    return Counter((int(writer), int(number)) for writer, number, _ in whole)
