"""Show the journal of the service. The journalctl that does it is printed first, to be copied and changed."""

import argparse
import os
import re
import shlex
import subprocess
import sys

# What systemd says of units is its own, so that their starts and ends are among their lines.
EVERYTHING = ("_SYSTEMD_SLICE=saas.slice", "+", "SYSLOG_IDENTIFIER=nginx", "+", "_PID=1")
SOURCES = {
    "web": ("--unit=gunicorn@*",),
    "worker": ("--unit=celery-worker@*",),
    "beat": ("--unit=celery-beat",),
    "flower": ("--unit=flower",),
    "nginx": ("--identifier=nginx",),
    "redis": ("--unit=redis-server",),
    "postgresql": ("--unit=postgresql@*",),
}
EXAMPLES = """examples:
  saas logs                        the latest lines of all of it
  saas logs worker -f              what the workers say, as they say it
  saas logs --errors --since 1h    every error of the last hour
  saas logs --request ID           the whole story of one request, from nginx to the worker's last line
  saas logs celery-worker@email    one unit"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(SOURCES)
    parser.add_argument(
        "source", nargs="?", type=text, help=f"{names}, or the name of a unit; all of the service without"
    )
    parser.add_argument("--request", type=text, metavar="ID", help="of one request, whatever took part in it")
    parser.add_argument("--task", type=text, metavar="ID", help="of one task")
    parser.add_argument("--errors", action="store_true", help="errors alone")
    parser.add_argument("--grep", "-g", type=text, metavar="PATTERN", help="lines that match this regular expression")
    parser.add_argument(
        "--since", "-S", type=text, metavar="TIME", help="like 10m, 2h, today or 02:30; without, the latest 200 lines"
    )
    parser.add_argument("--lines", "-n", type=text, metavar="N", help="only the latest so many lines")
    parser.add_argument("--follow", "-f", action="store_true", help="go on with what comes")


def text(value: str) -> str:
    """Of nothing, as from a variable that is not set, journalctl would show everything."""
    if not value:
        raise argparse.ArgumentTypeError("is empty")
    return value


def run(arguments: argparse.Namespace) -> int:
    if arguments.source and arguments.source not in SOURCES and not known(arguments.source):
        sys.exit(f"saas: there is no unit {arguments.source} on this host.")
    argv = command(arguments)
    print(shlex.join(argv), file=sys.stderr, flush=True)
    os.execvp(argv[0], argv)


def known(unit: str) -> bool:
    """A unit that is gone, like that of an old release, has left lines."""
    # journalctl adds the suffix itself.
    names = (unit, f"{unit}.service")
    asked = (
        ("systemctl", "list-units", "--all", "--plain", "--no-legend", "--", *names),
        ("systemctl", "list-unit-files", "--no-legend", "--", *names),
        ("journalctl", "--quiet", "--lines=1", f"--unit={unit}"),
    )
    return any(subprocess.run(argv, capture_output=True, check=False).stdout.strip() for argv in asked)


def command(asked: argparse.Namespace) -> list[str]:
    chosen = [f"{field}={value}" for field, value in (("REQUEST_ID", asked.request), ("TASK_ID", asked.task)) if value]
    options = {"--grep": asked.grep, "--since": since(asked.since), "--lines": lines(asked, bool(chosen))}
    return [
        "journalctl",
        *(f"{name}={value}" for name, value in options.items() if value),
        *(["--priority=err"] if asked.errors else []),
        *(["--follow"] if asked.follow else []),
        *source(asked.source, bool(chosen)),
        *chosen,
    ]


def since(time: str | None) -> str | None:
    """A span is one of the past. journalctl wants a minus, which a shell's user and argparse take for an option."""
    return f"-{time}" if time and re.fullmatch(r"(\d+[a-z]+)+", time) else time


def lines(asked: argparse.Namespace, one_story: bool) -> str | None:
    return asked.lines or (None if asked.since or asked.follow or one_story else "200")


def source(name: str | None, one_story: bool) -> tuple[str, ...]:
    if name is None:
        return () if one_story else EVERYTHING
    return SOURCES.get(name, (f"--unit={name}",))
