"""`make bench-deploy`: site.yml on a bare machine, the same by hand, and runs that change nothing."""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from statistics import median

from lab import boot, console, labs, machine
from lab.labs import Lab
from lab.podman import podman
from tests.lab.conftest import booted

ROUNDS = int(os.environ.get("ROUNDS", "3"))
DEBIAN = os.environ.get("DEBIAN", "12")
OTHER = "byhand"
# Times as long as by hand, and seconds of a run that changes nothing.
MOST, IDLE = 3, 40
PACKAGES = "export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && apt-get install -qq -y"
WHEELS = (
    "python3 -m venv /srv/venv && /srv/venv/bin/pip install --quiet --no-index --find-links=/srv/wheels"
    " --require-hashes --no-deps --requirement=/srv/production.txt"
)


def taken(work: Callable[[], object]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def packages(lab: Lab, host: str) -> set[str]:
    return set(machine.execute(lab, host, "apt-mark", "showmanual").split())


def carry(lab: Lab) -> None:
    """The wheels and the lock to the other machine; the time that takes is not counted."""
    lock = machine.execute(lab, "saas", "readlink", "-f", "/srv/saas/current/requirements/production.txt").strip()
    with tempfile.TemporaryDirectory() as folder:
        for source, target in (("/srv/saas/wheels", "wheels"), (lock, "production.txt")):
            podman("cp", f"{lab.container('saas')}:{source}", f"{folder}/{target}")
            podman("cp", f"{folder}/{target}", f"{lab.container(OTHER)}:/srv/")


def by_hand(lab: Lab, names: set[str]) -> None:
    work = f"{PACKAGES} {' '.join(sorted(names))} && {WHEELS}"
    podman("exec", lab.container(OTHER), "sh", "-c", work, timeout=1800)


def too_slow(fresh: float, plain: float, again: list[float]) -> bool:
    return fresh > MOST * plain or median(again) > IDLE


def main() -> None:
    with booted("bench", DEBIAN, labs.SINGLE) as lab:
        machine.ensure(lab, OTHER, number=30, debian=DEBIAN)
        bare = packages(lab, OTHER)
        with console.step("site.yml on a bare machine", "site.yml"):
            fresh = taken(lambda: boot.deploy(lab))
        carry(lab)
        with console.step("The same packages and wheels by hand", "by hand"):
            plain = taken(lambda: by_hand(lab, packages(lab, "saas") - bare))
        with console.step("Runs that change nothing", "no change"):
            again = [taken(lambda: boot.deploy(lab)) for _ in range(ROUNDS)]
    print(f"\nDebian {DEBIAN}: site.yml {fresh:.0f} s, by hand {plain:.0f} s, {fresh / plain:.1f} times as long.")
    seconds = ", ".join(f"{one:.0f}" for one in again)
    print(f"A run that changes nothing: {seconds} s, median {median(again):.0f} s.")
    sys.exit(too_slow(fresh, plain, again))


if __name__ == "__main__":
    main()
