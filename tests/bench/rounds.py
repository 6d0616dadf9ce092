"""Rounds that interleave: each runs everybody once, and begins with another."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from tests.bench.contestants import Contestant
from tests.bench.stand import Stand
from tests.integration.servers import wait_until

T = TypeVar("T")


def turns(things: Sequence[T], rounds: int, what: str) -> Iterator[T]:
    for number in range(rounds):
        first = number * max(1, len(things) // rounds) % len(things)
        for thing in (*things[first:], *things[:first]):
            progress(f"{what}, round {number + 1} of {rounds}: {called(thing)}")
            yield thing


def called(thing: object) -> str:
    return ", ".join(thing) if isinstance(thing, tuple) else str(getattr(thing, "name", thing))


def progress(text: str) -> None:
    print(text, flush=True)


class Running:
    """A contestant's workers, started, and held while their queue is filled."""

    def __init__(self, stand: Stand, contestant: Contestant) -> None:
        self.stand, self.contestant = stand, contestant
        self.environment = stand.ours if contestant.is_ours else stand.plain
        self.workers = [
            stand.start(f"{contestant.module}-{number}", list(command), self.environment)
            for number, command in enumerate(contestant.commands)
        ]

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.workers:
            worker.end()

    def wait_until_ready(self) -> None:
        if self.contestant.is_ours:
            for worker in self.workers:
                wait_until(lambda worker=worker: "is ready and consumes" in worker.output(), "a worker is ready", 60)  # type: ignore[misc]

    def fill(self, function: str, count: int) -> None:
        self.stand.run(self.environment, "calls", self.contestant.module, function, count, 1)

    def wait_until_done(self, seconds: float = 120) -> None:
        client = self.stand.redis.client()
        wait_until(lambda: not self.contestant.left(client), f"{self.contestant.name} has emptied its queue", seconds)

    def hold(self) -> None:
        for worker in self.workers:
            worker.hold()

    def let_go(self) -> None:
        for worker in self.workers:
            worker.let_go()
