"""The reference has everything, and nothing that is not there."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, name

ANSIBLE = ROOT / "deploy/ansible"
REFERENCE: dict[str, Any] = runpy.run_path(str(ROOT / "docs/reference.py"))
GENERATED = [page for page in sorted((ROOT / "docs").glob("*.md")) if "`make docs` writes this" in page.read_text()]
BY_HAND = (ROOT / "docs/variables.md").read_text().partition("## Secrets")[0]


@pytest.mark.parametrize("page", GENERATED, ids=name)
def test_it_is_what_make_docs_writes(page: Path) -> None:
    text = page.read_text()

    assert text == REFERENCE["written"](text), f"Run make docs, and commit {page.name}."


def test_each_part_has_its_place() -> None:
    places = [place for page in GENERATED for place in re.findall(r"<!-- ([\w-]+): `make", page.read_text())]

    assert sorted(places) == sorted(part.__name__.replace("_", "-") for part in REFERENCE["PARTS"])


def test_what_an_inventory_sets_is_what_the_playbooks_ask_it_for() -> None:
    files = [ANSIBLE / "group_vars/all.yml", *ANSIBLE.glob("roles/*/defaults/main.yml")]
    wired = "\n".join(file.read_text() for file in files)
    asked = set(re.findall(r"(\w+)(?: \||',) default[(=]", wired))
    required = set(re.findall(r"site_\w+", re.findall(r"^preflight_site_variables: (.*)", wired, re.MULTILINE)[0]))

    assert set(re.findall(r"^\| `(?:-e )?(\w+)", BY_HAND, re.MULTILINE)) == asked | required | {"release_dirty"}
