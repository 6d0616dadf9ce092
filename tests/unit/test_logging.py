import errno
import io
import logging
import os
import sys
from typing import Any
from unittest.mock import patch

from django.conf import settings
from django.test import SimpleTestCase

from config.logging import Line, console


def stream(name: str) -> Any:
    return patch.dict(os.environ, {"JOURNAL_STREAM": name})


class ConsoleTests(SimpleTestCase):
    def test_it_speaks_to_the_journal_where_stdout_is_the_journal(self) -> None:
        stdout = os.fstat(1)

        with stream(f"{stdout.st_dev}:{stdout.st_ino}"):
            handler = console()

        self.assertEqual(handler["class"], "core.journal.JournalHandler")

    def test_it_writes_to_stdout_where_only_the_parents_stdout_was_the_journal(self) -> None:
        with stream("1:1"):
            handler = console()

        self.assertEqual(handler["stream"], "ext://sys.stdout")


class LineTests(SimpleTestCase):
    def written(self, text: str, *args: object, **how: Any) -> str:
        target = io.StringIO()
        handler = logging.StreamHandler(target)
        handler.setFormatter(Line())
        log = logging.Logger("any")
        log.addHandler(handler)
        log.error(text, *args, **how)
        return target.getvalue()

    def test_a_reset_link_is_masked(self) -> None:
        self.assertEqual(
            self.written("Error: %s", "/accounts/reset/Mg/dig664-0123/"), "Error: /accounts/reset/Mg/***/\n"
        )

    def test_it_is_masked_in_a_traceback_too(self) -> None:
        line = self.written("Oh", exc_info=ValueError("no https://example.org/accounts/reset/Mg/dig664-0123/"))

        self.assertIn("ValueError: no https://example.org/accounts/reset/Mg/***/", line)

    def test_a_message_stays_one_line_whatever_a_visitor_writes(self) -> None:
        line = self.written("GET %s", "/x\n[ERROR] 2026-11-22 17:00:00 core - forged\x1b[2J\x9b")

        self.assertEqual(line, "GET /x\\x0a[ERROR] 2026-11-22 17:00:00 core - forged\\x1b[2J\\x9b\n")

    def test_a_traceback_says_nothing_to_a_terminal(self) -> None:
        line = self.written("Oh", exc_info=ValueError("no\x1b[2J\r\x00\nsecond"))

        self.assertEqual(line, "Oh\nValueError: no\\x1b[2J\\x0d\\x00\nsecond\n")

    def test_what_is_no_character_can_be_written_everywhere(self) -> None:
        line = self.written("Oh \udcff", exc_info=ValueError("no \ud800"))

        self.assertEqual(line, "Oh \\udcff\nValueError: no \\ud800\n")

    def test_it_is_masked_however_the_address_is_spelt(self) -> None:
        for path in (
            "/accounts//reset/Mg/dig664-0123/",
            "//accounts/reset//Mg//dig664-0123",
            "/login/?next=/accounts/reset/Mg/dig664-0123/",
        ):
            with self.subTest(path=path):
                self.assertNotIn("0123", self.written("Error: %s", path))

    def test_other_addresses_stay(self) -> None:
        self.assertEqual(self.written("Error: %s", "/accounts/login/"), "Error: /accounts/login/\n")

    def test_every_handler_uses_it(self) -> None:
        handlers = settings.LOGGING["handlers"].values()

        self.assertEqual({handler["formatter"] for handler in handlers}, {"line"})


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


class UnwrittenTests(SimpleTestCase):
    def test_a_record_that_is_lost_is_named_without_its_content(self) -> None:
        log = logging.Logger("any")
        log.addHandler(logging.StreamHandler(FullDisk()))

        with patch.object(sys, "stderr", io.StringIO()) as stderr:
            log.error("GET %(U)s", {"U": "/", "{cookie}i": "sessionid=abc"}, exc_info=ValueError("hunter2"))

        self.assertRegex(
            stderr.getvalue(), r"^A record of any \(\S+:\d+\) is lost: OSError: \[Errno 28\] No space left on device\n$"
        )
