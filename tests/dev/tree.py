"""A copy of the tree, as a fresh clone would be, in which `make` may do what it likes."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.integration.servers import ROOT


def copy_tree(target: Path) -> Path:
    """What git knows or would add, as it stands now; with the times that make looks at."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def processes_in(folder: Path) -> list[str]:
    """The command lines of the processes that work in the folder, whoever their parents are."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return [line for line in found if line]


def environment() -> dict[str, str]:
    """A shell's, without what this run of make and pytest has put into it."""
    ours = ("MAKE", "MFLAGS", "PYTEST", "COVERAGE", "DJANGO", "REDIS_PORT")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
