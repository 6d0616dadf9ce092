"""What the visitors' log tells: how many requests, which failed, how slow, and from when on which release answered."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

SHOWN = 10


@dataclass(frozen=True)
class Answer:
    kind: str
    at: float
    took: float
    method: str
    path: str
    host: str
    status: int
    release: str
    who: str
    error: str

    @property
    def end(self) -> float:
        return self.at + self.took

    def __str__(self) -> str:
        clock = datetime.fromtimestamp(self.at).astimezone().strftime("%H:%M:%S.%f")[:-3]
        problem = self.error or f"answers {self.status}"
        return f"{clock} {self.method} {self.path} at {self.host} {problem} after {self.took:.2f} s"


@dataclass
class Summary:
    """The requests that take long by themselves are apart from the others: they are not to be quick."""

    answers: list[Answer] = field(default_factory=list)
    elapsed: float = 0
    cpu: float = 0
    late: float = 0

    def of(self, *kinds: str) -> list[Answer]:
        return [answer for answer in self.answers if answer.kind in kinds]

    @property
    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.error]

    @property
    def usual(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.kind != "slow"]

    @property
    def registered(self) -> dict[str, float]:
        """The addresses of those who were told that they have an account, and when."""
        done = (a for a in self.of("form") if a.path == "/accounts/register/" and not a.error)
        return {f"{answer.who}@example.org": answer.end for answer in done}

    def took(self, share: float) -> float:
        seconds = sorted(answer.took for answer in self.usual)
        return seconds[min(len(seconds) - 1, int(share * len(seconds)))] if seconds else 0

    @property
    def slowest(self) -> float:
        return self.took(1)

    @property
    def share(self) -> float:
        """Of a core, what the visitors cost the machine that is measured."""
        return self.cpu / max(self.elapsed, 1)

    @property
    def per_second(self) -> float:
        """While visitors came: what was only finished then does not dilute it."""
        starts = [answer.at for answer in self.answers]
        return len(starts) / max(max(starts) - min(starts), 1)

    def between(self, begun: float, ended: float) -> "Summary":
        """What was under way in that time."""
        return Summary([answer for answer in self.answers if answer.at <= ended and answer.end >= begun])

    def first_of(self, release: str, begun: float) -> dict[str, float]:
        """For each web host, when the first answer of the release arrived to what was asked from then on."""
        first: dict[str, float] = {}
        for answer in sorted(self.answers, key=lambda answer: answer.end):
            if answer.at >= begun and answer.release == release:
                first.setdefault(answer.host, answer.end)
        return first

    def over(self, moments: list[float]) -> list[Answer]:
        """The long requests that were under way at one of these moments."""
        return [answer for answer in self.of("slow") if any(answer.at < moment < answer.end for moment in moments)]


def read(log: Path) -> Summary:
    summary = Summary()
    for line in log.read_text(encoding="utf-8").splitlines(keepends=True):
        # The last one may still be on its way.
        if line.endswith("\n"):
            take(summary, json.loads(line))
    return summary


def take(summary: Summary, entry: dict[str, Any]) -> None:
    if entry["kind"] == "end":
        summary.elapsed, summary.cpu, summary.late = entry["elapsed"], entry["cpu"], entry["late"]
    else:
        summary.answers.append(Answer(**entry))


def told(summary: Summary) -> list[str]:
    """Lines for a person."""
    slow = summary.of("slow")
    finished = [answer for answer in slow if not answer.error]
    failed = summary.failed
    return [
        f"requests   {len(summary.answers)}, {summary.per_second:.1f} a second: {kinds(summary)}",
        f"failed     {len(failed)}",
        *(f"             {answer}" for answer in failed[:SHOWN]),
        f"time       slowest {summary.slowest:.2f} s, p50 {ms(summary, 0.5)}, p99 {ms(summary, 0.99)}",
        f"10 s long  {len(finished)} of {len(slow)} finished",
        f"visitors   took {summary.share:.0%} of a core, were late by {summary.late:.2f} s at most",
    ]


def ms(summary: Summary, share: float) -> str:
    return f"{1000 * summary.took(share):.0f} ms"


def kinds(summary: Summary) -> str:
    names = sorted({answer.kind for answer in summary.answers})
    return ", ".join(f"{len(summary.of(name))} {name}" for name in names)
