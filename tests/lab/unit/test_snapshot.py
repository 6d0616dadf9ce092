import subprocess
from pathlib import Path

import pytest

from lab import snapshot


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    for folder in snapshot.RELEASED:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "kept").write_text("kept")
    (tmp_path / ".gitignore").write_text("ignored\n")
    git(tmp_path, "add", "--all")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "First.")
    return tmp_path


def git(repository: Path, *args: str) -> str:
    return subprocess.run(["git", "-C", str(repository), *args], check=True, capture_output=True, text=True).stdout


def test_a_clean_tree_is_head(repository: Path) -> None:
    (repository / "app/ignored").write_text("not in it")

    assert snapshot.take(repository) == git(repository, "rev-parse", "HEAD").strip()


def test_it_holds_what_is_on_the_disk(repository: Path) -> None:
    (repository / "app/kept").write_text("changed")
    (repository / "app/new").write_text("new")
    (repository / "app/ignored").write_text("not in it")

    commit = snapshot.take(repository)

    assert git(repository, "ls-tree", "--name-only", commit, "app/").split() == ["app/kept", "app/new"]
    assert git(repository, "show", f"{commit}:app/kept") == "changed"


def test_it_takes_nothing_from_elsewhere(repository: Path) -> None:
    (repository / "vault-password").write_text("secret")

    assert snapshot.take(repository) == git(repository, "rev-parse", "HEAD").strip()


def test_the_same_tree_is_the_same_commit(repository: Path) -> None:
    (repository / "app/new").write_text("new")

    assert snapshot.take(repository) == snapshot.take(repository)


def test_it_leaves_index_and_branches_alone(repository: Path) -> None:
    (repository / "app/new").write_text("new")
    before = git(repository, "status", "--porcelain"), git(repository, "for-each-ref")

    snapshot.take(repository)

    assert (git(repository, "status", "--porcelain"), git(repository, "for-each-ref")) == before
