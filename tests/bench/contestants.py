"""Who takes part: how each is started, how many messages it has in flight, and what is left in its queue."""

import os
from dataclasses import dataclass
from typing import Any

from redis import Redis

from tests.bench.stand import unit

# What the service is thought to do best with; `make bench SERVICES=2 CONCURRENCY=50` tries others.
SERVICES = int(os.environ.get("SERVICES") or 4)
CONCURRENCY = int(os.environ.get("CONCURRENCY") or 25)
POOL = os.environ.get("POOL") or "threads"
# The playbook's default for the queue `email`.
DEFAULT = 20


@dataclass(frozen=True)
class Contestant:
    name: str
    # Of tests.bench.peers.
    module: str
    commands: tuple[tuple[str, ...], ...]
    in_flight: int
    # What its broker keeps of messages that are not done.
    keys: tuple[str, ...]

    @property
    def is_ours(self) -> bool:
        return self.module == "ours"

    def left(self, client: Redis) -> int:
        count: dict[Any, Any] = {"list": client.llen, "hash": client.hlen, "zset": client.zcard}
        kinds = [(key, client.type(key)) for key in self.keys]
        return sum(int(count[kind](key)) for key, kind in kinds if kind in count)


def ours(
    name: str, services: int = 1, concurrency: int = DEFAULT, pool: str = "threads", queue: str = "email"
) -> Contestant:
    """As the unit file has it."""
    queues, more = queue.split(","), ("-I", "tests.bench.peers.ours")
    values = {"QUEUES": queue, "POOL": pool, "CONCURRENCY": str(concurrency), "%H": "bench"}
    commands = (
        tuple(unit("celery-worker@.service", *more, **values, **{"%i": f"{queues[0]}{number}"}))
        for number in range(services)
    )
    return Contestant(name, "ours", tuple(commands), services * concurrency, (*queues, "unacked"))


# The workers of the playbook's default, by their queues.
PLAYBOOK = {
    "email": ours(f"this service as the playbook sets it up, {DEFAULT} threads"),
    "celery,dead_letter": ours(
        "this service as the playbook sets it up, prefork -c2", 1, 2, "prefork", "celery,dead_letter"
    ),
}


def celery(name: str, *options: str, in_flight: int = 2) -> Contestant:
    command = ("celery", "-A", "tests.bench.peers.celery_tutorial", "worker", *options)
    return Contestant(name, "celery_tutorial", (command,), in_flight, ("celery", "unacked"))


def dramatiq(name: str, processes: int, threads: int) -> Contestant:
    command = ("dramatiq", "tests.bench.peers.dramatiq_app", "-p", str(processes), "-t", str(threads))
    keys = ("dramatiq:default", "dramatiq:default.msgs")
    return Contestant(name, "dramatiq_app", (command,), processes * threads, keys)


def huey(name: str, kind: str, workers: int) -> Contestant:
    command = ("huey_consumer", "tests.bench.peers.huey_app.huey", "-k", kind, "-w", str(workers))
    return Contestant(name, "huey_app", (command,), workers, ("huey.redis.bench",))


def rq(name: str, workers: int) -> Contestant:
    command = ("python", "-m", "tests.bench.peers.rq_app", str(workers))
    return Contestant(name, "rq_app", (command,), workers, ("rq:queue:default", "rq:wip:default"))
