"""`make bench`: everything side by side, in rounds that interleave; docs/benchmarks.md is what came out."""

import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from tests.bench import machine
from tests.bench.report import Section, requirements
from tests.bench.rounds import progress
from tests.bench.stand import Stand, standing

CONTESTS = (
    "enqueue",
    "drain",
    "mails",
    "registration",
    "health",
    "pages",
    "transaction",
    "growth",
    "tables",
    "memory",
    "sizes",
    "profile",
)
PAGE = Path(__file__).parents[2] / "docs/benchmarks.md"
INTRODUCTION = """# Benchmarks

`make bench` writes this page. It runs this service beside Celery as its tutorial runs it, dramatiq, huey and rq, in
rounds that interleave: each round runs everybody once, the order rotates; memory is looked at once. Figures are
medians, behind them the least and the most. Ratios are what counts, taken within each round: the machine's noise hits
both sides. Where the rounds do not agree on what was asked for, that is at the edge. What limits what was not reached
stands in [How far it goes](scaling.md#what-was-not-reached-and-what-limits-it). Redis writes its AOF every second,
PostgreSQL waits for the disk at each commit.

`make bench ONLY='mails growth'` runs some of it and leaves this page as it is. `SERVICES=2 CONCURRENCY=50
POOL=threads` says what this service is taken to be best with, and `SECONDS=1` makes the runs of mails short, to see
that all works."""


def main() -> None:
    rounds, only = asked_for(os.environ)
    begun, loads, sections = datetime.now(UTC), [machine.load()], []
    with standing() as stand:
        for name in only or CONTESTS:
            sections.append(timed(stand, name, rounds))
            loads.append(machine.load())
    page = "\n\n".join([INTRODUCTION, machine.told(begun, loads, rounds), *body(sections)]) + "\n"
    print(f"{machine.told(begun, loads, rounds)}\n\n{requirements(sections)}\n")
    if only:
        print(f"docs/{PAGE.name} is left as it is: a run of all contests writes it.")
    else:
        PAGE.write_text(page)


def asked_for(variables: Mapping[str, str]) -> tuple[int, list[str]]:
    rounds, only = variables.get("ROUNDS") or "3", (variables.get("ONLY") or "").split()
    if not rounds.isdecimal() or int(rounds) < 1:
        sys.exit(f"ROUNDS is how often everybody runs, not “{rounds}”.")
    if unknown := [name for name in only if name not in CONTESTS]:
        sys.exit(f"There is no contest “{unknown[0]}”. There are: {' '.join(CONTESTS)}")
    return int(rounds), only


def timed(stand: Stand, name: str, rounds: int) -> Section:
    begun = time.monotonic()
    stand.empty()
    section: Section = import_module(f"tests.bench.{name}").run(stand, rounds)
    progress(f"    ✓ {name} took {time.monotonic() - begun:.0f} s\n\n{section.markdown()}\n")
    return section


def body(sections: list[Section]) -> list[str]:
    return ["## What was asked for", requirements(sections), *(section.markdown() for section in sections)]


if __name__ == "__main__":
    main()
