"""What was measured as people read it: medians with their spread, ratios, what was asked for and whether it is so."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

Samples = dict[str, list[float]]
DIGITS = 3


def figure(value: float) -> str:
    """Three digits, and none of them behind a point that says nothing."""
    if abs(value) >= 10 ** (DIGITS - 1):
        return f"{value:,.0f}"
    return f"{value:.{DIGITS}g}"


def spread(values: Sequence[float]) -> str:
    """The median, and from the least to the most where there are several."""
    if len(values) == 1:
        return figure(values[0])
    return f"{figure(median(values))} ({figure(min(values))} to {figure(max(values))})"


def percentile(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


def ratios(ours: Sequence[float], other: Sequence[float]) -> list[float]:
    """Round by round: what slows a machine down slows both sides of a round."""
    return [mine / its for mine, its in zip(ours, other, strict=True)]


def best(samples: Samples, names: Iterable[str]) -> str:
    return max((name for name in names if name in samples), key=lambda name: median(samples[name]))


@dataclass(frozen=True)
class Requirement:
    what: str
    against: str
    values: Sequence[float]
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "×"

    @property
    def reached(self) -> bool:
        return self.kept(median(self.values))

    def kept(self, value: float) -> bool:
        enough = self.at_least is None or value >= self.at_least
        return enough and (self.at_most is None or value <= self.at_most)

    @property
    def verdict(self) -> str:
        """The median's, and whether every round had the same."""
        said = "reached" if self.reached else "**not reached**"
        return said if len({self.kept(value) for value in self.values}) == 1 else f"{said}, at the edge"

    @property
    def asked(self) -> str:
        sign, value = ("≥", self.at_least) if self.at_least is not None else ("≤", self.at_most)
        return f"{sign} {value:g} {self.unit}"

    def row(self) -> list[str]:
        found = f"{spread(self.values)} {self.unit}"
        return [self.what, self.against, self.asked, found, self.verdict]


@dataclass
class Section:
    title: str
    # What was done, in sentences.
    text: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    requirements: list[Requirement] = field(default_factory=list)
    # What makes figures worthless: a mail that came twice, or never.
    void: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        warning = [f"**Void:** {said}." for said in self.void]
        return "\n\n".join([f"## {self.title}", self.text, *warning, table(self.head, self.rows)])


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def requirements(sections: Iterable[Section]) -> str:
    head = ["what", "against", "asked for", "seen", ""]
    rows = []
    for section in sections:
        for asked in section.requirements:
            row = asked.row()
            rows.append([*row[:-1], "**void**"] if section.void else row)
    return table(head, rows)


def compared(samples: Samples, base: str, unit: str = "") -> list[Sequence[str]]:
    """A row for each: its median and spread, and how many times `base` that is."""
    rows: list[Sequence[str]] = []
    for name, values in samples.items():
        times = spread(ratios(values, samples[base]))
        rows.append([name, f"{spread(values)}{unit}", "1" if name == base else times])
    return rows
