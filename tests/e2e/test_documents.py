"""The site that `make docs` makes, as a browser without a network shows it."""

import re
import subprocess
from pathlib import Path

import pytest
from selenium import webdriver

from tests.integration.servers import ROOT, wait_until

SITE = ROOT / "docs/_build"
DIAGRAMS = sorted(page.stem for page in (ROOT / "docs").glob("*.md") if "```mermaid" in page.read_text())


@pytest.fixture(scope="module", autouse=True)
def made() -> None:
    subprocess.run(["make", "docs"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def drawn(driver: webdriver.Chrome) -> list[bool]:
    # What it cannot read it draws too, as an error.
    script = "return [...document.querySelectorAll('pre.mermaid')].map(block => !!block.querySelector(arguments[0]))"
    return list(driver.execute_script(script, "svg:not([aria-roledescription=error])"))


@pytest.mark.parametrize("page", DIAGRAMS)
def test_every_diagram_is_drawn(driver: webdriver.Chrome, page: str) -> None:
    driver.get(f"file://{SITE}/{page}.html")

    wait_until(lambda: all(drawn(driver)), f"all diagrams of {page}", 10)
    assert len(drawn(driver)) == (ROOT / f"docs/{page}.md").read_text().count("```mermaid")


def test_nothing_is_fetched_from_elsewhere() -> None:
    pages = "\n".join(page.read_text() for page in SITE.glob("*.html"))

    assert re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"(?:https?:)?//[^\"]*", pages) == []


def test_the_index_leads_to_every_page(driver: webdriver.Chrome) -> None:
    driver.get(f"file://{SITE}/index.html")

    links = driver.execute_script("return [...document.querySelectorAll('.sidebar-tree a')].map(a => a.href)")
    assert {Path(link).stem for link in links} == {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"}
