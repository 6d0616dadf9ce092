"""Blocks of YAML and Python are what they seem to be."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import PAGES, ROOT, blocks, name

VARIABLES = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/variables.md").read_text(), re.MULTILINE))
ROLES = {"celery_worker", "celery_beat"}
# What is shown of a whole inventory.
INVENTORY = {"all"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_variables_exist(page: Path) -> None:
    for code in blocks(page, "yaml"):
        values = yaml.safe_load(code)
        assert set(values) - VARIABLES - INVENTORY == set(), code


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_variables_in_sentences_exist(page: Path) -> None:
    kinds = "|".join(("site", "secret", *(path.name for path in (ROOT / "deploy/ansible/roles").iterdir())))

    assert set(re.findall(rf"`((?:{kinds})_\w+)`", page.read_text())) - VARIABLES - ROLES == set()


def test_the_workers_that_are_shown_are_the_role_s() -> None:
    first = yaml.safe_load(blocks(ROOT / "docs/add-worker.md", "yaml")[0])

    assert first == yaml.safe_load((ROOT / "deploy/ansible/roles/celery_worker/defaults/main.yml").read_text())


def test_the_inventory_that_is_shown_is_the_example() -> None:
    hosts, values = (yaml.safe_load(code) for code in blocks(ROOT / "docs/install.md", "yaml"))
    example = ROOT / "deploy/ansible/inventories/example"

    assert hosts["all"]["hosts"] == yaml.safe_load((example / "hosts.yml").read_text())["all"]["hosts"]
    assert values == yaml.safe_load((example / "group_vars/all.yml").read_text())


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_can_read_it(page: Path) -> None:
    for code in blocks(page, "python"):
        ast.parse(code)
