"""Shows the state of this host and of the service, reads its logs, and runs manage.py as the service does."""

import argparse
import os
import sys
from typing import NoReturn

from saas import findings, logs, manage, release, status

# As monitoring programs count: 0, 1 and 2 are states.
UNKNOWN = 3
# As shells count what Ctrl-C has ended.
INTERRUPTED = 130
SEE = "What to do about what you see: docs/on-call.md in the project's repository."


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(UNKNOWN, f"{self.prog}: {message}; see {self.prog} --help\n")


def main() -> int:
    arguments = parse(sys.argv[1:])
    if os.geteuid() != 0:
        print("saas: this needs root, so run it with sudo.", file=sys.stderr)
        return UNKNOWN
    try:
        return int(arguments.run(arguments))
    except findings.UnusableError as error:
        print(f"saas: {error}", file=sys.stderr)
        return UNKNOWN
    except KeyboardInterrupt:
        return INTERRUPTED


def parse(argv: list[str]) -> argparse.Namespace:
    """Whatever stands behind `manage` is for manage.py, options too."""
    own = argv[:1] if argv[:1] == ["manage"] else argv
    return parser().parse_args(own, argparse.Namespace(arguments=argv[len(own) :]))


def parser() -> argparse.ArgumentParser:
    keep_lines = argparse.RawDescriptionHelpFormatter
    top = Parser(prog="saas", description=__doc__, epilog=SEE)
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    state = commands.add_parser(
        "status",
        help="what runs, what waits, what is about to fail",
        description="Show this host's units, site, disks and certificate, and the service's queues, tasks and Beat.\n"
        "Exits with 0 when all is fine, 1 for a warning, 2 when something is critical,\n"
        "3 when it cannot tell.",
        epilog=findings.explain(),
        formatter_class=keep_lines,
    )
    state.add_argument("--json", action="store_true", help="print one JSON object")
    state.set_defaults(run=status.run)
    log = commands.add_parser(
        "logs", help="the right journalctl", description=logs.__doc__, epilog=logs.EXAMPLES, formatter_class=keep_lines
    )
    logs.add_arguments(log)
    log.set_defaults(run=logs.run)
    releases = commands.add_parser("release", help="the steps of a deploy", description=release.__doc__)
    release.add_arguments(releases)
    releases.set_defaults(run=release.run)
    admin = commands.add_parser("manage", help="manage.py, as the service runs it", add_help=False)
    admin.set_defaults(run=manage.run)
    return top


if __name__ == "__main__":
    if not sys.argv[1:]:
        parser().print_help()
        sys.exit(UNKNOWN)
    sys.exit(main())
