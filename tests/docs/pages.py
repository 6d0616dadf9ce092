"""The documents as tests read them: headings, links, and blocks of code by their language."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name(page: Path) -> str:
    return page.name


def blocks(page: Path, language: str) -> list[str]:
    return [code for found, code in BLOCK.findall(page.read_text()) if found == language]


def commands(program: str) -> list[str]:
    """What stands behind `program` in the commands of all pages, in blocks and in lines that are indented."""
    # A placeholder stands for a word.
    texts = {page: re.sub(r"<(\w+)>", r"\1", page.read_text()) for page in PAGES}
    code = [found for text in texts.values() for language, found in BLOCK.findall(text) if language == "sh"]
    prose = [BLOCK.sub("", text) for text in texts.values()]
    code += [line for text in prose for line in re.findall(r"^(?: {4}| {8})(\S.*)$", text, re.MULTILINE)]
    before = r"(?:^|&& |\bsudo )(?:\S*python3? )?(?:\S*/)?"
    pattern = rf"{before}{re.escape(program)} ((?:'[^']*'|\"[^\"]*\"|[^|&>#\n])*)"
    return sorted({found.strip() for text in code for found in re.findall(pattern, text, re.MULTILINE)})


def slug(heading: str) -> str:
    """The anchor that GitHub and the site give a heading."""
    return re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()).strip().replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text()), re.MULTILINE)}
