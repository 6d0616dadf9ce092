"""What happens when: everything follows from the seed."""

import random
from dataclasses import dataclass, field
from itertools import cycle


@dataclass(frozen=True)
class Size:
    registrations: int
    resets: int
    seconds: int
    faults: dict[str, int]
    silence: int


FULL = Size(
    registrations=1000,
    resets=200,
    seconds=180,
    faults={
        "kill worker": 5,
        "kill redis": 3,
        "flush redis": 1,
        "stop redis": 1,
        "restart postgres": 1,
        "kill beat": 1,
    },
    silence=20,
)
SHORT = Size(
    registrations=45,
    resets=10,
    seconds=18,
    faults={"kill worker": 2, "kill redis": 1, "flush redis": 1, "restart postgres": 1},
    silence=3,
)


@dataclass(frozen=True)
class Fault:
    # When so many people have registered: a slow machine meets the same faults at the same places.
    after: int
    what: str
    # Of a worker, for “kill worker”: the whole or one of its processes.
    whom: str = ""


@dataclass
class Plan:
    seed: int
    size: Size
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = random.Random(self.seed)  # noqa: S311
        kinds = [kind for kind, times in self.size.faults.items() for _ in range(times)]
        rng.shuffle(kinds)
        hows = cycle((" whole", " child"))
        step = self.size.registrations / (len(kinds) + 1)
        for place, kind in enumerate(kinds, 1):
            whom = rng.choice(("email@a", "email@b")) + next(hows) if kind == "kill worker" else ""
            self.faults.append(Fault(round(step * (place + rng.uniform(-0.3, 0.3))), kind, whom))

    def answer(self, address: str, attempt: int) -> str | None:
        """What the mail server says to a recipient: 550 to 2 % of them for ever, 451 to 20 % of the attempts."""
        if share(self.seed, address) < 0.02:
            return "550 5.1.1 no such mailbox"
        if share(self.seed, address, attempt) < 0.2:
            return "451 4.7.1 greylisted, try again later"
        return None

    def __str__(self) -> str:
        lines = [f"  after {fault.after:4} registrations: {fault.what} {fault.whom}".rstrip() for fault in self.faults]
        return "\n".join(
            [f"seed {self.seed}, {self.size.registrations} registrations, {self.size.resets} resets", *lines]
        )


def share(*what: object) -> float:
    return random.Random(repr(what)).random()  # noqa: S311
