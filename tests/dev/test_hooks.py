"""The hooks of pre-commit, in a clone whose .venv is that of this one."""

import subprocess
from pathlib import Path

import pytest

from tests.dev.tree import copy_tree, environment
from tests.integration.servers import ROOT


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    copy_tree(tmp_path)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "--all"], cwd=tmp_path, check=True)
    return tmp_path


def run(clone: Path, hook: str, *files: str) -> str:
    command = [".venv/bin/pre-commit", "run", hook, *(["--files", *files] if files else ["--all-files"])]
    variables = environment() | {"PRE_COMMIT_HOME": str(clone / ".git/hooks-home"), "PRE_COMMIT_COLOR": "never"}
    done = subprocess.run(command, cwd=clone, env=variables, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("hook", ["format", "lint", "yaml"])
def test_none_finds_anything_in_the_tree(clone: Path, hook: str) -> None:
    assert "Passed" in run(clone, hook)


@pytest.mark.parametrize(
    ("hook", "file", "fault"),
    [
        ("format", "app/manage.py", "x = ( 1 )\n"),
        ("lint", "app/manage.py", "import json\n"),
        ("yaml", "deploy/ansible/site.yml", "a:   1\n"),
        ("types", "app/manage.py", "x: int = ''\n"),
    ],
)
def test_each_finds_its_fault_and_nothing_as_it_stands(clone: Path, hook: str, file: str, fault: str) -> None:
    assert "Passed" in run(clone, hook, file)
    with (clone / file).open("a") as broken:
        broken.write(fault)

    assert "Failed" in run(clone, hook, file)
