import logging
import os
from typing import Any
from unittest.mock import patch

from django.conf import settings
from django.test import SimpleTestCase

from config.logging import HideResetLinks, console


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


class HideResetLinksTests(SimpleTestCase):
    def record(self, path: str) -> logging.LogRecord:
        record = logging.LogRecord("django.request", logging.ERROR, __file__, 1, "%s: %s", ("Error", path), None)
        record.request = f"<WSGIRequest: GET '{path}'>"
        return record

    def test_the_link_is_masked_and_the_request_dropped(self) -> None:
        record = self.record("/accounts/reset/Mg/dig664-0123/")

        HideResetLinks().filter(record)

        self.assertEqual(record.getMessage(), "Error: /accounts/reset/Mg/***/")
        self.assertNotIn("0123", str(record.__dict__))

    def test_other_addresses_stay(self) -> None:
        record = self.record("/accounts/login/")

        HideResetLinks().filter(record)

        self.assertEqual(record.getMessage(), "Error: /accounts/login/")

    def test_every_handler_has_it(self) -> None:
        handlers = settings.LOGGING["handlers"].values()

        self.assertTrue(all(handler["filters"] == ["links"] for handler in handlers))
