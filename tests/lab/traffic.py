"""Visitors of a lab's site: a container beside its machines, with two hundred addresses, in which `visitors` runs.

So many, since nginx and the application judge each address: their limits stay as they are for everybody.
"""

import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import image, machine
from lab.labs import FIRST_MACHINE, SINGLE, Lab
from lab.podman import PODMAN, ensure_running, podman
from lab.shell import LabError, root
from tests.lab.answers import Summary, read

CONTAINER, NUMBER = "visitors", 31
SOURCES = range(51, 251)
CLUSTER_NAME, WEB = "app.saas.test", ("web1", "web2")
CODE = Path(__file__).parent / "visitors"
# Of requests that were begun, each has its own bound.
END_SECONDS = 60


@dataclass
class Traffic:
    lab: Lab
    # Registered names begin with it.
    run: str
    log: Path
    process: "subprocess.Popen[str]"

    def so_far(self) -> Summary:
        return read(self.log)

    def end(self) -> Summary:
        """Let the visitors finish what they have begun, and count."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        code = self.process.wait(END_SECONDS)
        if code:
            raise LabError(
                f"The visitors ended with {code}: {self.log.with_suffix('.err').read_text(encoding='utf-8')}"
            )
        return self.so_far()


@contextmanager
def traffic(lab: Lab, debian: str, hosts: tuple[str, ...] = (), tasks: int = 0, calm: float = 1) -> Iterator[Traffic]:
    """Until it is told to end, or the block is left. `tasks` are kept asked for: by default one more than can run.

    With `calm` 4, a quarter as many come.
    """
    invite(lab, debian)
    run = secrets.token_hex(3)
    log = lab.directory / f"visitors-{run}.jsonl"
    argv = root(
        *PODMAN, "exec", "--interactive", "--workdir", "/srv", lab.container(CONTAINER), "python3", "-m", "visitors"
    )
    with log.open("w", encoding="utf-8") as out, log.with_suffix(".err").open("w", encoding="utf-8") as err:
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=out, stderr=err, text=True)
    visitors = Traffic(lab, run, log, process)
    try:
        assert process.stdin
        process.stdin.write(
            json.dumps(plan(lab, run, hosts or web(lab), tasks or room(lab) + 1) | {"calm": calm}) + "\n"
        )
        process.stdin.flush()
        yield visitors
    finally:
        if process.poll() is None:
            visitors.end()


def web(lab: Lab) -> tuple[str, ...]:
    return SINGLE if lab.machines == SINGLE else WEB


def site_name(lab: Lab) -> str:
    return lab.address(FIRST_MACHINE) if lab.machines == SINGLE else CLUSTER_NAME


def room(lab: Lab) -> int:
    """How many tasks of the queue `celery` run at a time: two on each host with workers."""
    return 2 if lab.machines == SINGLE else 4


def plan(lab: Lab, run: str, hosts: tuple[str, ...], tasks: int) -> dict[str, object]:
    certificate = ("cat", "/etc/nginx/tls/current/fullchain.pem")
    return {
        "name": site_name(lab),
        "hosts": {lab.address_of(host): machine.execute(lab, host, *certificate) for host in hosts},
        "sources": addresses(lab),
        "run": run,
        "tasks": tasks,
    }


def addresses(lab: Lab) -> list[str]:
    first = lab.address(0).rpartition(".")[0]
    return [f"{first}.{number}" for number in SOURCES]


def invite(lab: Lab, debian: str) -> None:
    new = ensure_running(
        lab.container(CONTAINER),
        *("--hostname", CONTAINER, "--network", lab.network, "--ip", lab.address(NUMBER), "--cap-add", "net_admin"),
        *("--volume", f"{CODE}:/srv/visitors:ro"),
        *lab.labels,
        image.name(debian),
        *("sleep", "infinity"),
    )
    if new:
        lines = "".join(f"address add {address}/24 dev eth0\n" for address in addresses(lab))
        podman("exec", "--interactive", lab.container(CONTAINER), "ip", "-batch", "-", stdin=lines)


def wait(visitors: Traffic, seconds: float) -> None:
    """Let them visit for a while; LabError if they have ended by themselves."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if visitors.process.poll() is not None:
            visitors.end()
            raise LabError("The visitors have gone.")
        time.sleep(0.2)
