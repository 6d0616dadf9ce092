"""What the documents name exists, and what exists is named."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)
README = (ROOT / "README.md").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
UNITS = {path.stem.rstrip("@") for path in (ROOT / "deploy/systemd").glob("*.service")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_make_target_named_exists() -> None:
    named = set(re.findall(r"`make ([a-z-]+)", TEXT)) | set(re.findall(r"^    make ([a-z-]+)", TEXT, re.MULTILINE))

    assert named - TARGETS == set()


def test_every_make_target_is_named() -> None:
    assert {target for target in TARGETS if f"make {target}" not in TEXT} == {"help"}


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
