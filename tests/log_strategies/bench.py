"""`make bench-logging`: what each strategy costs and loses, as a table."""

import os
import tempfile
from pathlib import Path
from statistics import median

from tests.log_strategies.records import LONG, Tally
from tests.log_strategies.run import SHORT, Load, Outcome, run

ROUNDS = int(os.environ.get("ROUNDS", "3"))
LINES = int(os.environ.get("LINES", "80000"))
VARIANTS = (
    *("console", "console, long lines", "pid", "concurrent", "file", "file, nocreate"),
    *("queue", "syslog", "sentry"),
)
COLUMNS = ("strategy", "processes", "lines/s", "CPU per line", "lost", "duplicated", "garbled", "files")


def load(variant: str, writers: int) -> Load:
    # Building an event takes a hundred times as long as writing a line.
    lines = LINES // 40 if variant == "sentry" else LINES
    long = LONG if variant.endswith("long lines") else SHORT
    return Load(variant, writers, lines // writers, size=200_000, long=long)


def row(tried: Load, outcomes: list[Outcome]) -> list[str]:
    tallies = [tally for outcome in outcomes for tally in outcome.tallies.values()]
    total = Tally(*(sum(getattr(tally, name) for tally in tallies) for name in ("lost", "duplicated", "garbled")))
    lost = f"{total.lost}"
    if tried.strategy == "file":
        lost += f" ({total.lost / sum(outcome.files - 1 for outcome in outcomes):.0f} per rotation)"
    speed = median(tried.lines / outcome.seconds for outcome in outcomes)
    cpu = median(outcome.cpu / tried.lines for outcome in outcomes) * 1e6
    files = median(outcome.files for outcome in outcomes)
    counts = (lost, total.duplicated, total.garbled, f"{files:.0f}")
    return [tried.variant, str(tried.writers), f"{speed:,.0f}", f"{cpu:.0f} µs", *map(str, counts)]


def main() -> None:
    loads = [load(variant, writers) for variant in VARIANTS for writers in (4, 8)]
    outcomes: dict[Load, list[Outcome]] = {tried: [] for tried in loads}
    for number in range(ROUNDS):
        for tried in loads:
            print(f"Round {number + 1} of {ROUNDS}: {tried.variant}, {tried.writers} processes", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                outcomes[tried].append(run(tried, Path(folder)))
    print(f"\n{ROUNDS} rounds in turns: medians of the speeds, sums of what is lost, duplicated and garbled.\n")
    for cells in (COLUMNS, ("---",) * len(COLUMNS), *(row(tried, found) for tried, found in outcomes.items())):
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
