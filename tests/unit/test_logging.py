import os
from typing import Any
from unittest.mock import patch

from django.test import SimpleTestCase

from config.logging import console


def stream(name: str) -> Any:
    return patch.dict(os.environ, {"JOURNAL_STREAM": name})


class ConsoleTests(SimpleTestCase):
    def test_it_speaks_to_the_journal_where_stdout_is_the_journal(self) -> None:
        stdout = os.fstat(1)

        with stream(f"{stdout.st_dev}:{stdout.st_ino}"):
            handler = console()

        self.assertEqual(handler["class"], "logging_journald.JournaldLogHandler")

    def test_it_writes_to_stdout_where_only_the_parents_stdout_was_the_journal(self) -> None:
        with stream("1:1"):
            handler = console()

        self.assertEqual(handler["stream"], "ext://sys.stdout")
