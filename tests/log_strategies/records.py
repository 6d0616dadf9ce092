"""Numbered records, and what became of them."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LINE = re.compile(r"\[(INFO|ERROR)\] \d{4}-\d\d-\d\d \d\d:\d\d:\d\d core - (\d+) (\d+) (x+)\.")
# Longer than what a pipe or a buffer takes at once; most lines are short.
LONG, EVERY = 10_000, 200


def text(writer: int, number: int, long: int = LONG) -> str:
    return f"{writer} {number} {'x' * width(number, long)}."


def width(number: int, long: int = LONG) -> int:
    return long if number % EVERY == EVERY - 1 else 20 + number % 80


@dataclass(frozen=True)
class Tally:
    lost: int
    duplicated: int
    garbled: int

    def __str__(self) -> str:
        return f"lost {self.lost}, duplicated {self.duplicated}, garbled {self.garbled}"


NONE = Tally(0, 0, 0)


def tally(lines: Iterable[str], writers: int, records: int, long: int = LONG) -> Tally:
    seen: Counter[tuple[int, int]] = Counter()
    garbled = 0
    for line in lines:
        found = LINE.fullmatch(line)
        if found and len(found[4]) == width(int(found[3]), long):
            seen[int(found[2]), int(found[3])] += 1
        else:
            garbled += 1
    expected = {(writer, number) for writer in range(writers) for number in range(records)}
    assert set(seen) <= expected
    return Tally(len(expected - set(seen)), seen.total() - len(seen), garbled)


def lines(folder: Path, pattern: str) -> list[str]:
    return [line for file in folder.glob(pattern) for line in file.read_text().splitlines()]
