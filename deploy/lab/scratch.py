"""Half-done things live in folders that name their process, so that whoever comes later can tell a leftover."""

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab import owner, paths
from lab.shell import LabError, attempt, root, run

FOLDERS = paths.LAB_DIR / "tmp"


@contextmanager
def folder() -> Iterator[Path]:
    path = FOLDERS / owner.stamp()
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield path
    finally:
        if path.exists():
            remove(path)


def sweep() -> None:
    """Remove what interrupted runs left in this clone."""
    for path in FOLDERS.glob("*"):
        if not owner.alive(path.name):
            remove(path)


def remove(path: Path) -> None:
    end_users(path)
    for mount in mounts(path):
        attempt(root("umount", "--lazy", mount))
    with suppress(PermissionError):
        shutil.rmtree(path)
    if path.exists():
        run(root("rm", "--recursive", "--force", "--one-file-system", str(path)))


def end_users(path: Path) -> None:
    for process in users(path):
        attempt(root("kill", "-KILL", process))
        wait_for_end(process)


def users(path: Path) -> list[str]:
    """Processes that were given the folder to work in."""
    wanted = f"TMPDIR={path}".encode()
    return [file.parent.name for file in Path("/proc").glob("[0-9]*/cmdline") if wanted in arguments(file)]


def arguments(file: Path) -> list[bytes]:
    try:
        return file.read_bytes().split(b"\0")
    except OSError:
        return []


def wait_for_end(process: str) -> None:
    for _ in range(100):
        if not owner.started(int(process)):
            return
        time.sleep(0.05)


def mounts(path: Path) -> list[str]:
    """What is mounted at or below the path, the deepest first."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    # The kernel writes spaces and the like as octal escapes.
    points = (line.split()[1].encode().decode("unicode_escape") for line in lines)
    return sorted((point for point in points if Path(point).is_relative_to(path)), key=len, reverse=True)


@contextmanager
def lock(name: str, busy: str = "") -> Iterator[None]:
    """One at a time in this clone: wait for the others, or give up with a sentence when one is given."""
    paths.LAB_DIR.mkdir(exist_ok=True)
    with (paths.LAB_DIR / f"{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError as error:
            raise LabError(busy) from error
        yield
