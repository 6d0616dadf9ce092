#!/usr/bin/env python
"""Run Django's and this project's commands."""

import os
import signal
import sys


def main() -> None:
    # Not before, so that Ctrl-C is quiet from the start.
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415 - as said above
    from django.core.management import BaseCommand, ManagementUtility  # noqa: PLC0415 - likewise

    from config.startup import load_settings  # noqa: PLC0415 - likewise

    class Utility(ManagementUtility):
        def fetch_command(self, subcommand: str) -> BaseCommand:
            command = super().fetch_command(subcommand)
            # A command may have something to clean up.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            return command

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        load_settings()
    except ImproperlyConfigured as error:
        sys.exit(f"manage.py: {error}")
    Utility(sys.argv).execute()


if __name__ == "__main__":
    # Until there is a command, Ctrl-C just ends it: where an import calls back, a KeyboardInterrupt would get lost.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
