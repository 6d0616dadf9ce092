import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from lab import owner, scratch
from lab.shell import LabError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "FOLDERS", tmp_path / "tmp")
    monkeypatch.setattr("lab.paths.LAB_DIR", tmp_path)


def test_a_folder_is_gone_after_an_error() -> None:
    with suppress(ValueError), scratch.folder() as folder:
        (folder / "half").write_text("done")
        raise ValueError

    assert not folder.exists()


def test_a_folder_that_became_something_else_stays(tmp_path: Path) -> None:
    with scratch.folder() as folder:
        (folder / "whole").write_text("done")
        folder.rename(tmp_path / "result")

    assert (tmp_path / "result" / "whole").exists()


def test_sweeping_spares_the_living(tmp_path: Path) -> None:
    dead, living = scratch.FOLDERS / "1-1", scratch.FOLDERS / owner.stamp()
    dead.mkdir(parents=True)
    living.mkdir()

    scratch.sweep()

    assert (dead.exists(), living.exists()) == (False, True)


def test_sweeping_ends_what_still_writes_there() -> None:
    folder = scratch.FOLDERS / "1-1"
    folder.mkdir(parents=True)
    code = "print(flush=True); input()"
    command = [sys.executable, "-c", code, f"TMPDIR={folder}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        # Its arguments can be read only some time after it was started.
        assert writer.stdout is not None
        writer.stdout.readline()
        scratch.sweep()

        assert writer.wait(timeout=5) < 0
    assert not folder.exists()


def test_mounts_are_found_deepest_first() -> None:
    found = scratch.mounts(Path("/"))

    assert found[-1] == "/"
    assert len(found[0]) >= len(found[-1])


def test_a_busy_lock_says_so() -> None:
    with scratch.lock("up"), pytest.raises(LabError, match="in use"), scratch.lock("up", "in use"):
        pass
