import logging
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from django.test import SimpleTestCase

from core.journal import JournalHandler


class JournalHandlerTests(SimpleTestCase):
    """Against a socket that stands in for journald's: the lab's tests have the real one."""

    def setUp(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        path = Path(folder) / "socket"
        self.journald = self.enterContext(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.journald.bind(str(path))
        with mock.patch("logging_journald.JournaldTransport.SOCKET_PATH", path):
            self.handler = JournalHandler("celery")
        self.addCleanup(self.handler.transport.socket.close)
        self.log = logging.Logger("core.tasks")
        self.log.addHandler(self.handler)

    def entry(self) -> bytes:
        return self.journald.recv(100_000)

    def test_levels_become_priorities(self) -> None:
        for level, priority in ((50, 2), (40, 3), (35, 4), (30, 4), (20, 6), (10, 7)):
            with self.subTest(level=level):
                self.log.log(level, "Hello")

                self.assertIn(b"PRIORITY=%d\n" % priority, self.entry())

    def test_a_traceback_stays_one_entry(self) -> None:
        self.log.error("Oh", exc_info=ValueError("no"))

        entry = self.entry()

        self.assertIn(b"MESSAGE\n", entry)
        self.assertIn(b"Oh\nValueError: no", entry)

    def test_identifiers_are_fields_and_empty_ones_are_left_out(self) -> None:
        self.log.info("Hello", extra={"request_id": "abc", "task_id": "", "user_id": 7, "password": "hunter2"})

        lines = self.entry().decode().splitlines()

        self.assertIn("REQUEST_ID=abc", lines)
        self.assertIn("USER_ID=7", lines)
        self.assertFalse([line for line in lines if line.startswith("TASK_") or "hunter2" in line])

    def test_a_journal_that_is_gone_stops_nobody(self) -> None:
        self.journald.close()

        with mock.patch.object(sys, "stderr") as stderr:
            self.log.info("Hello")

        self.assertTrue(stderr.write.called)

    def test_arguments_are_no_fields(self) -> None:
        arguments: Any = {"address": "bo@example.org"}
        self.log.info("Hello %(address).2s", arguments)

        self.assertNotIn(b"example", self.entry())
