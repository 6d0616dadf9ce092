"""The releases in /srv/saas and the links to them: `current`, which everything follows, `next` and `previous`."""

import os
import re
import shutil
import time
from pathlib import Path

ROOT = Path("/srv/saas")
RELEASES = ROOT / "releases"
ENVIRONMENTS = ROOT / "venvs"
# A file in a release's folder: it was in service once, and everything was well.
FINISHED = "finished"
KEPT = 5


class UnfitError(Exception):
    """A step cannot be done, or its outcome is not well; the message says why."""


def named(release: str) -> Path:
    folder = RELEASES / release
    if not re.fullmatch(r"[0-9a-z]{4,40}", release) or not folder.is_dir():
        raise UnfitError(f"there is no release {release} in {RELEASES}; `saas release list` names those there are")
    return folder


def target(link: str) -> str:
    """The release that the link leads to, or nothing."""
    path = ROOT / link
    return path.resolve().name if path.is_symlink() and path.exists() else ""


def size(folder: Path) -> int:
    """In bytes, without what links in it lead to."""
    return sum(file.lstat().st_size for file in folder.rglob("*"))


def lead(link: str, release: str) -> None:
    """In one step: whoever follows the link finds the old release or the new one."""
    fresh = ROOT / f".{link}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(named(release))
    fresh.replace(ROOT / link)


def finished() -> list[str]:
    """Those that may be gone back to, the latest first."""
    marks = sorted(RELEASES.glob(f"*/{FINISHED}"), key=lambda mark: mark.stat().st_mtime, reverse=True)
    return [mark.parent.name for mark in marks]


def restore(link: str, release: str) -> None:
    """Where there is none, or no more, the link goes."""
    if (RELEASES / release).is_dir() and release:
        lead(link, release)
    else:
        (ROOT / link).unlink(missing_ok=True)


def finish(release: str, before: str) -> None:
    """The latest now, and then the one before it, however long ago that was deployed: a rollback goes there."""
    marks = [folder / FINISHED for folder in (RELEASES / before, named(release))]
    marks[1].touch()
    # A clock that was set back does not make it older than others.
    moment = max(time.time(), *(mark.stat().st_mtime for mark in RELEASES.glob(f"*/{FINISHED}"))) + 1
    for later, mark in enumerate(mark for mark in marks if mark.exists()):
        os.utime(mark, (moment + later, moment + later))


def spare() -> set[str]:
    """All but the latest, and what a link leads to. One that never was in service takes no good one's place."""
    kept = {*finished()[:KEPT], *(target(link) for link in ("current", "previous"))}
    return {folder.name for folder in RELEASES.iterdir() if folder.is_dir()} - kept


def prune(running: set[str]) -> None:
    """Remove what is spare and runs nowhere."""
    for name in spare() - running:
        shutil.rmtree(RELEASES / name)
    used = {(folder / ".venv").resolve() for folder in RELEASES.iterdir()}
    for environment in ENVIRONMENTS.iterdir():
        if environment not in used:
            shutil.rmtree(environment)
