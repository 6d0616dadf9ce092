"""Releases and their links, in a folder instead of /srv/saas; tests/lab/test_site_release.py has the units."""

import os
from pathlib import Path

import pytest

from saas import links
from saas.links import UnfitError


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, folder in (("ROOT", ""), ("RELEASES", "releases"), ("ENVIRONMENTS", "venvs")):
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.setattr(links, name, tmp_path / folder)
    return tmp_path


def built(root: Path, name: str, age: int | None = None) -> str:
    """A release that was finished so many seconds ago, or never."""
    folder = root / "releases" / name
    folder.mkdir()
    (root / "venvs" / name).mkdir()
    (folder / ".venv").symlink_to(root / "venvs" / name)
    if age is not None:
        (folder / links.FINISHED).touch()
        os.utime(folder / links.FINISHED, (10_000 - age, 10_000 - age))
    return name


def there(root: Path) -> set[str]:
    return {folder.name for folder in (root / "releases").iterdir()}


def test_a_link_leads_to_one_release_or_the_other(root: Path) -> None:
    links.lead("current", built(root, "aaaa"))
    links.lead("current", built(root, "bbbb"))

    assert links.target("current") == "bbbb"


@pytest.mark.parametrize("name", ["cccc", "../venvs", "", "aaaa/app"])
def test_it_leads_nowhere_else(root: Path, name: str) -> None:
    links.lead("current", built(root, "aaaa"))

    with pytest.raises(UnfitError, match="there is no release"):
        links.lead("current", name)

    assert links.target("current") == "aaaa"


def test_five_finished_releases_are_kept_and_unfinished_ones_push_none_out(root: Path) -> None:
    for age in range(7):
        built(root, f"done{age}", age)
    for number in range(6):
        built(root, f"half{number}")

    links.prune()

    assert there(root) == {f"done{age}" for age in range(5)} == {folder.name for folder in (root / "venvs").iterdir()}


def test_what_a_link_leads_to_is_kept_however_old_and_unfinished(root: Path) -> None:
    for age in range(6):
        built(root, f"done{age}", age)
    links.lead("previous", "done5")
    links.lead("current", built(root, "half"))

    links.prune()

    assert {"half", "done5"} <= there(root)


def test_a_release_that_is_deployed_once_more_is_the_latest_again(root: Path) -> None:
    built(root, "done1", 1)
    built(root, "done2", 2)

    links.finish("done2")

    assert links.finished() == ["done2", "done1"]
