"""Run manage.py in the service's environment, as its user, in its sandbox; its exit code is passed on."""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

RELEASE = Path("/srv/saas/current")
# systemd adds what is in saas-manage-.service.d to units named so.
UNIT = f"saas-manage-{os.getpid()}"


def run(arguments: argparse.Namespace) -> int:
    if not RELEASE.exists():
        sys.exit("saas: there is no release on this host; run this on one that has the application.")
    # Debian 13's systemd would colour the terminal's background.
    os.environ["SYSTEMD_TINT_BACKGROUND"] = "0"
    if sys.stdin.isatty() and sys.stdout.isatty():
        argv = command(arguments.arguments, "--pty")
        os.execvp(argv[0], argv)
    return passed_on(command(arguments.arguments, "--pipe"))


def passed_on(argv: list[str]) -> int:
    """Its end of a terminal would let the application read what root types, now and after this has ended."""
    with ExitStack() as screens:
        stdin = subprocess.DEVNULL if sys.stdin.isatty() else None
        stdout, stderr = (screens.enter_context(screen(stream)) for stream in (sys.stdout, sys.stderr))
        return subprocess.run(argv, stdin=stdin, stdout=stdout, stderr=stderr, check=False).returncode


@contextmanager
def screen(stream: IO[str]) -> Iterator[Any]:
    """What is written to it can be read from by nobody."""
    if not stream.isatty():
        yield stream
        return
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=stream) as cat:
        yield cat.stdin


def command(arguments: list[str], *options: str) -> list[str]:
    # systemd would replace variables in what it runs.
    escaped = [argument.replace("$", "$$") for argument in arguments]
    return [
        *("systemd-run", "--quiet", "--collect", "--wait", "--uid=saas", "--gid=saas", f"--unit={UNIT}", *options),
        # Without the arguments, which would stand in the journal.
        f"--description=manage.py {' '.join(arguments[:1])}".rstrip(),
        *(f"{RELEASE}/.venv/bin/python", "manage.py", *escaped),
    ]
