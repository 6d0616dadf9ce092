"""What the documents name exists, and what exists is named."""

import re
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import BLOCK, PAGES, ROOT, anchors, name

TEXT = "\n".join(page.read_text() for page in PAGES)
README = (ROOT / "README.md").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
UNITS = {path.stem.rstrip("@") for path in (ROOT / "deploy/systemd").glob("*.service")}


def links(page: Path) -> list[tuple[str, str]]:
    """Without those to elsewhere: the file, empty for the page itself, and the anchor."""
    text = BLOCK.sub("", page.read_text())
    return re.findall(r"\]\((?!https?:|mailto:)([^)#]*)#?([^)]*)\)", text)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    assert [file for file, _ in links(page) if file and not (page.parent / file).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_anchors_are_headings(page: Path) -> None:
    wanted = [(page.parent / file if file else page, anchor) for file, anchor in links(page) if anchor]

    assert [f"{file.name}#{anchor}" for file, anchor in wanted if anchor not in anchors(file)] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_of_the_repository_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"`((?:app|deploy|tests|docs|requirements)/[\w./@-]+)`", page.read_text())

    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_make_target_named_exists() -> None:
    named = set(re.findall(r"`make ([a-z-]+)", TEXT)) | set(re.findall(r"^    make ([a-z-]+)", TEXT, re.MULTILINE))

    assert named - TARGETS == set()


def test_every_unit_named_exists() -> None:
    named = set(re.findall(r"-u '?([a-z-]+)", README))

    assert named - UNITS - {"nginx"} == set()


def test_the_readme_names_every_service_that_stays_up() -> None:
    assert [unit for unit in UNITS if not unit.startswith("saas-") and unit not in README] == []


def test_the_readme_explains_every_variable_of_an_inventory() -> None:
    defaults = yaml.safe_load((ROOT / "deploy/ansible/roles/preflight/defaults/main.yml").read_text())
    explained = re.findall(r"^\| `(site_\w+)` \|", README, re.MULTILINE)

    assert explained == defaults["preflight_site_variables"]


def test_the_example_inventory_sets_the_variables_that_are_asked_for() -> None:
    defaults = yaml.safe_load((ROOT / "deploy/ansible/roles/preflight/defaults/main.yml").read_text())
    example = yaml.safe_load((ROOT / "deploy/ansible/inventories/example/group_vars/all.yml").read_text())

    assert list(example) == defaults["preflight_site_variables"]


def test_the_examples_are_the_tested_code() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/examples.md").read_text(), re.DOTALL)
    code = (ROOT / "app/core/examples.py").read_text()

    assert len(blocks) == 5
    assert [block for block in blocks if block not in code] == []


def test_the_pictures_are_those_that_a_test_takes_and_all_are_shown() -> None:
    taken = set(re.findall(r'photograph\("([\w-]+)"\)', (ROOT / "tests/dev/test_screenshots.py").read_text()))

    assert {path.stem for path in (ROOT / "docs/images").glob("*.png")} == taken
    assert set(re.findall(r"images/([\w-]+)\.png", TEXT)) == taken
    assert sum(path.stat().st_size for path in (ROOT / "docs/images").iterdir()) < 1_000_000
