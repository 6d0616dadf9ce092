import logging
import os
import subprocess
import time
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from django.test import SimpleTestCase

from config.logging import STRATEGIES, Place, build
from core.logfiles import KEEP_SECONDS, ProcessFileHandler, ProcessQueueHandler
from tests.unit.test_celery_settings import run
from tests.unit.test_settings import ROOT, read


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("core", logging.INFO, __file__, 1, text, None, None)


class FolderTestCase(SimpleTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))


class ProcessFileTests(FolderTestCase):
    def handler(self) -> ProcessFileHandler:
        handler = ProcessFileHandler(str(self.folder), "any", size=1000, kept=3)
        self.addCleanup(handler.close)
        return handler

    def file(self, pid: int, age: float, suffix: str = "") -> Path:
        path = self.folder / f"any-{pid}.log{suffix}"
        path.touch()
        os.utime(path, times=(time.time() - age,) * 2)
        return path

    def dead(self) -> int:
        process = subprocess.Popen(["true"])
        process.wait()
        return process.pid

    def test_a_file_begins_with_the_first_record(self) -> None:
        handler = self.handler()
        self.assertEqual(list(self.folder.iterdir()), [])

        handler.handle(record("first"))

        self.assertEqual([file.name for file in self.folder.iterdir()], [f"any-{os.getpid()}.log"])

    def test_files_of_dead_processes_are_removed_after_a_week(self) -> None:
        dead = self.dead()
        old = [self.file(dead, KEEP_SECONDS + 60), self.file(dead, KEEP_SECONDS + 60, ".10")]
        kept = [self.file(dead, KEEP_SECONDS - 60, ".1"), self.file(os.getppid(), KEEP_SECONDS + 60)]

        self.handler()

        self.assertEqual([file.exists() for file in old + kept], [False, False, True, True])

    def test_a_process_that_begins_a_file_removes_them_too(self) -> None:
        handler = self.handler()
        old = self.file(self.dead(), KEEP_SECONDS + 60)

        handler.handle(record("first"))

        self.assertFalse(old.exists())

    def test_it_keeps_as_many_files_as_it_is_told(self) -> None:
        handler = self.handler()

        for number in range(20):
            handler.handle(record(f"{number} {'x' * 990}"))

        self.assertEqual(len(list(self.folder.iterdir())), 1 + 3)


class QueueTests(SimpleTestCase):
    def setUp(self) -> None:
        self.written = StringIO()
        self.handler = ProcessQueueHandler(target=logging.StreamHandler(self.written))
        self.addCleanup(self.handler.close)

    def test_everything_is_written_when_it_is_flushed(self) -> None:
        for number in range(1000):
            self.handler.handle(record(str(number)))

        self.handler.flush()

        self.assertEqual(self.written.getvalue().split(), [str(number) for number in range(1000)])

    def test_it_goes_on_after_that(self) -> None:
        self.handler.handle(record("before"))
        self.handler.flush()
        self.handler.handle(record("after"))

        self.handler.flush()

        self.assertEqual(self.written.getvalue().split(), ["before", "after"])

    def test_nothing_waits_across_a_fork(self) -> None:
        for number in range(1000):
            self.handler.handle(record(str(number)))

        child = os.fork()
        if not child:
            os._exit(self.handler.queue.qsize() + (self.handler.listener is not None))

        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.assertEqual(len(self.written.getvalue().split()), 1000)


class StrategyTests(FolderTestCase):
    # What each hands its records to.
    handlers = {
        "console": {"StreamHandler"},
        "pid": {"StreamHandler", "ProcessFileHandler"},
        "concurrent": {"ConcurrentRotatingFileHandler"},
        "file": {"WatchedFileHandler"},
        "queue": {"ProcessQueueHandler"},
        "syslog": {"SysLogHandler"},
        "sentry": {"StreamHandler", "SentryHandler"},
    }

    def configured(self, strategy: str) -> list[str]:
        """The handlers of a process that has this strategy."""
        show = "import logging, config.wsgi; print(*(type(h).__name__ for h in logging.root.handlers))"
        dsn = "https://key@sentry.example.org/1" if strategy == "sentry" else ""
        result = run("-c", show, LOG_STRATEGY=strategy, LOGS_DIR=str(self.folder), SENTRY_DSN=dsn)
        return result.stdout.split() or [result.stderr]

    def test_all_of_them_can_be_chosen(self) -> None:
        found = {strategy: set(self.configured(strategy)) for strategy in STRATEGIES}

        self.assertEqual(found, self.handlers)

    def test_sentry_comes_to_all_of_them_with_its_dsn(self) -> None:
        for strategy in STRATEGIES:
            logs = build(strategy, Place(self.folder, sentry_dsn="https://key@localhost/1"), "INFO", "INFO")

            self.assertEqual(logs["root"]["handlers"][-1], "sentry")
            self.assertEqual(logs["handlers"]["sentry"]["level"], "ERROR")

    def test_files_are_of_ten_megabytes_and_ten_are_kept(self) -> None:
        self.assertEqual((Place(self.folder).size, Place(self.folder).kept), (10_000_000, 10))

    def test_the_workers_file_has_celerys_level_and_the_other_errors(self) -> None:
        settings = read(LOG_STRATEGY="pid", LOGS_DIR=str(self.folder), CELERY_LOG_LEVEL="WARNING")

        handlers = settings["LOGGING"]["handlers"]
        levels = {handlers[name]["stem"]: handlers[name]["level"] for name in ("worker", "errors")}
        self.assertEqual(levels, {"celery_worker": "WARNING", "celery_errors": "ERROR"})

    def test_the_folder_is_there_after_the_start(self) -> None:
        for strategy in STRATEGIES:
            with self.subTest(strategy):
                folder = self.folder / strategy / "logs"

                build(strategy, Place(folder, sentry_dsn="https://key@localhost/1"), "INFO", "INFO")

                self.assertTrue(folder.is_dir())

    def test_who_writes_no_files_needs_no_folder(self) -> None:
        self.assertIn("console", read(LOG_STRATEGY="console", LOGS_DIR="/proc/nope")["LOGGING"]["handlers"])


class SharedRotationTests(FolderTestCase):
    """No program starts with a rotating file that its processes would share."""

    programs = (
        ["manage.py", "check"],
        ["-c", "import config.wsgi"],
        *(["-m", "celery", "-A", "config", name] for name in ("worker", "beat", "flower")),
    )

    def refused(self, rotating: str, *program: str) -> None:
        wrong = {"DJANGO_SETTINGS_MODULE": "tests.unit.rotating", "PYTHONPATH": str(ROOT), "ROTATING": rotating}

        result = run(*program, **wrong, LOGS_DIR=str(self.folder))

        self.assertNotEqual(result.returncode, 0)
        self.assertRegex(result.stderr, rf"\A.*LOGGING must not have a {rotating}: processes that share .*\n\Z")

    def test_every_program_refuses_it(self) -> None:
        for program in self.programs:
            with self.subTest(program=program):
                self.refused("RotatingFileHandler", *program)

    def test_one_that_rotates_by_time_is_no_better(self) -> None:
        self.refused("TimedRotatingFileHandler", "manage.py", "check")
