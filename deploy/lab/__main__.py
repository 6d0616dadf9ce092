"""`python -m lab up|down|status|ssh`, which is what make calls."""

import argparse
import os
import signal
import sys
from types import FrameType

from lab import console, image, up
from lab.shell import LabError


def main() -> int:
    os.umask(0o022)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    # SIGINT too: what a script starts in the background is told to ignore it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    arguments = parser().parse_args()
    try:
        return int(arguments.run(arguments) or 0)
    except LabError as error:
        console.fail(str(error))
        return 1
    except KeyboardInterrupt:
        console.fail("Interrupted. Run it again to go on from here.")
        return 130


def interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("packages", help="install what the tests need").set_defaults(run=lambda _: up.packages())
    boot = commands.add_parser("up", help="boot the lab, deploy to it, prove it")
    boot.add_argument("--debian", choices=image.SUITES, default="12", help="which Debian the machine has")
    boot.set_defaults(run=lambda arguments: up.up(arguments.debian))
    commands.add_parser("down", help="remove all of it").set_defaults(run=lambda _: up.down())
    commands.add_parser("status", help="what runs and where").set_defaults(run=lambda _: up.status())
    ssh = commands.add_parser("ssh", help="a shell on the machine, or one command")
    ssh.add_argument("command", nargs="?", default="", help="run this instead of a shell")
    ssh.set_defaults(run=lambda arguments: up.ssh(arguments.command))
    return top


if __name__ == "__main__":
    sys.exit(main())
