"""docs/on-call.md as a test reads it: sections of commands, some with what they show when their fault is there."""

import re
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/on-call.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
PLACEHOLDER = re.compile(r"<(\w+)>")
Values = dict[str, str]


@dataclass(frozen=True)
class Step:
    """`shows` holds the lines that tell the fault. A step without them is something to do."""

    commands: tuple[str, ...]
    shows: tuple[str, ...] = ()

    def filled(self, values: Values) -> str:
        return "\n".join(fill(command, values) for command in self.commands)

    def found(self, output: str, values: Values) -> Values | None:
        """What the placeholders of the lines stand for in the output, or None if a line is not in it."""
        known = dict(values)
        for line in self.shows:
            match = re.search(pattern(line, known), output)
            if match is None:
                return None
            known |= match.groupdict()
        return known


@dataclass(frozen=True)
class Section:
    title: str
    steps: list[Step] = field(default_factory=list)


def sections() -> list[Section]:
    parts = re.split(r"^## (.*)\n", PAGE.read_text(), flags=re.MULTILINE)
    return [Section(title, steps(text)) for title, text in zip(parts[1::2], parts[2::2], strict=True)]


def steps(text: str) -> list[Step]:
    return [Step(tuple(commands.splitlines()), tuple(shows.splitlines())) for commands, shows in BLOCK.findall(text)]


def fill(text: str, values: Values) -> str:
    return PLACEHOLDER.sub(lambda match: values[match[1]], text)


def pattern(line: str, values: Values) -> str:
    """Spaces stand for any number of them, `…` for anything, `<name>` for one word that is then known."""
    words = re.split(r"(…|<\w+>|\s+)", line.strip())
    return "".join(part_pattern(word, values) for word in words)


def part_pattern(word: str, values: Values) -> str:
    if word == "…":
        return ".*"
    if word.isspace():
        return r"[^\S\n]+"
    if not (match := PLACEHOLDER.fullmatch(word)):
        return re.escape(word)
    name = match[1]
    return re.escape(values[name]) if name in values else rf"(?P<{name}>[^\s\[\]]+?)"
