"""Against this repository: what a release changes has to be where releases.py looks for it."""

import subprocess

import pytest

from lab import paths, snapshot
from tests.lab import releases

FAULTS = [
    releases.import_error,
    releases.import_error_in_view,
    releases.import_error_at_start,
    releases.failing_page,
    releases.failing_check,
    releases.speaking_to_terminals,
    releases.leading_outside,
    releases.failing_migration,
    releases.breaking_migration,
    releases.additive_migration,
    releases.dying_web,
    releases.dying_worker,
    releases.failing_probe,
    releases.slow_probe,
    releases.big,
]


def git(*args: str) -> str:
    return subprocess.run(["git", "-C", str(paths.ROOT), *args], check=True, capture_output=True, text=True).stdout


def changed(first: str, second: str) -> set[str]:
    return set(git("diff", "--name-only", first, second).split())


def test_it_adds_an_app_and_shows_its_marker() -> None:
    paths_changed = changed(snapshot.take(paths.ROOT), releases.release("one"))

    assert {path for path in paths_changed if not path.startswith("app/bench/")} == {
        "app/config/settings.py",
        "app/config/urls.py",
        "app/core/static/core/site.css",
        "app/core/templates/base.html",
    }
    assert "app/bench/migrations/0001_initial.py" in paths_changed


def test_two_releases_differ_in_a_page_and_a_static_file() -> None:
    assert changed(releases.release("one"), releases.release("two")) == {
        "app/core/static/core/site.css",
        "app/core/templates/base.html",
    }


def test_the_same_release_is_the_same_commit() -> None:
    assert releases.release("one") == releases.release("one")


def test_it_leaves_index_and_branches_alone() -> None:
    before = git("status", "--porcelain"), git("for-each-ref")

    releases.release("one")

    assert (git("status", "--porcelain"), git("for-each-ref")) == before


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_changes_the_release_and_is_python(fault: releases.Fault) -> None:
    commit = releases.release("one", fault)
    spoilt = changed(releases.release("one"), commit)

    assert spoilt
    for path in spoilt:
        compile(git("show", f"{commit}:{path}") if path.endswith(".py") else "", path, "exec")
