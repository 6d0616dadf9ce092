"""Run manage.py in the service's environment, as its user, in its sandbox; its exit code is passed on."""

import argparse
import os
import sys
from pathlib import Path

RELEASE = Path("/srv/saas/current")
# systemd adds what is in saas-manage-.service.d to units named so.
UNIT = f"saas-manage-{os.getpid()}"


def run(arguments: argparse.Namespace) -> int:
    if not RELEASE.exists():
        sys.exit("saas: there is no release on this host; run this on one that has the application.")
    # Debian 13's systemd would colour the terminal's background.
    os.environ["SYSTEMD_TINT_BACKGROUND"] = "0"
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    argv = command(arguments.arguments, "--pty" if terminal else "--pipe")
    os.execvp(argv[0], argv)


def command(arguments: list[str], *options: str) -> list[str]:
    # systemd would replace variables in what it runs.
    escaped = [argument.replace("$", "$$") for argument in arguments]
    return [
        *("systemd-run", "--quiet", "--collect", "--wait", f"--unit={UNIT}", *options),
        # Without the arguments, which would stand in the journal.
        f"--description=manage.py {' '.join(arguments[:1])}".rstrip(),
        *(f"{RELEASE}/.venv/bin/python", "manage.py", *escaped),
    ]
