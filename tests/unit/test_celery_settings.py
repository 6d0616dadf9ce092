import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import SimpleTestCase, override_settings

from config.startup import load_settings
from tests.unit.test_settings import PRODUCTION, ROOT

APP = ROOT / "app"
# Each variable of the specification, a value that is not its default, and the setting of Celery it must reach.
VARIABLES: dict[str, tuple[Any, str]] = {
    "CELERY_BROKER_URL": ("redis://broker.example.org:6380/3", "broker_url"),
    "CELERY_RESULT_BACKEND": ("redis://broker.example.org:6380/4", "result_backend"),
    "CELERY_ALWAYS_EAGER": (True, "task_always_eager"),
    "CELERY_PREFETCH_MULTIPLIER": (2, "worker_prefetch_multiplier"),
    "CELERY_MAX_TASKS_PER_CHILD": (11, "worker_max_tasks_per_child"),
    "CELERY_TASK_SOFT_TIME_LIMIT": (12, "task_soft_time_limit"),
    "CELERY_TASK_TIME_LIMIT": (13, "task_time_limit"),
    "CELERY_RESULT_EXPIRES": (14, "result_expires"),
}
DEFAULTS = {
    "broker_url": "redis://localhost:6379/0",
    "result_backend": "redis://localhost:6379/1",
    "task_always_eager": False,
    "worker_prefetch_multiplier": 4,
    "worker_max_tasks_per_child": 1000,
    "task_soft_time_limit": 1500,
    "task_time_limit": 1800,
    "result_expires": 3600,
    "timezone": "UTC",
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    "task_serializer": "json",
    "result_serializer": "json",
    "task_acks_late": True,
    "task_track_started": True,
    "broker_connection_retry_on_startup": True,
    "task_publish_retry": False,
}
# Flower is an extra, which those who only run the application need not have.
CELERY_PROGRAMS = ("worker", "beat", *(["flower"] if find_spec("flower") else []))
PROGRAMS = (
    ["manage.py", "check"],
    ["-c", "import config.wsgi"],
    *(["-m", "celery", "-A", "config", name] for name in CELERY_PROGRAMS),
)
SHOW = "import json, sys; from config import celery_app as a; print(json.dumps({n: a.conf[n] for n in sys.argv[1:]}))"


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in app/, in production's environment, without a developer's .env."""
    environment = {**PRODUCTION, "ENV_FILE": os.devnull, "PATH": os.environ["PATH"], **variables}
    return subprocess.run(
        [sys.executable, *command], cwd=APP, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def configured(names: list[str], **variables: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(run("-c", SHOW, *names, **variables).stdout)
    return shown


class CelerySettingsTests(SimpleTestCase):
    def test_each_variable_reaches_celery(self) -> None:
        wanted = {setting: value for value, setting in VARIABLES.values()}

        got = configured(list(wanted), **{name: str(value) for name, (value, _) in VARIABLES.items()})

        self.assertEqual(got, wanted)

    def test_what_is_run_in_the_caller_tells_its_exceptions_there(self) -> None:
        for value in (True, False):
            self.assertEqual(
                configured(["task_eager_propagates"], CELERY_ALWAYS_EAGER=str(value)), {"task_eager_propagates": value}
            )

    def test_the_defaults_are_those_of_the_specification(self) -> None:
        self.assertEqual(configured(list(DEFAULTS)), DEFAULTS)

    def test_these_tests_do_not_depend_on_a_developers_env_file(self) -> None:
        with TemporaryDirectory() as folder:
            app = copytree(ROOT / "app", Path(folder) / "app")
            (app / ".env").write_text("DEBUG=true\nCELERY_RESULT_EXPIRES=7\nCELERYD_CONCURRENCY=4\n")

            with mock.patch(f"{__name__}.APP", app):
                self.assertEqual(configured(list(DEFAULTS)), DEFAULTS)

    def test_redis_does_not_hand_out_twice_what_is_still_running(self) -> None:
        options = configured(["broker_transport_options"], CELERY_TASK_TIME_LIMIT="7200")["broker_transport_options"]

        self.assertGreater(options["visibility_timeout"], 7200 + 660)


class CertificateTests(SimpleTestCase):
    """A server's certificate is verified unless its URL says otherwise."""

    show = (
        "from redis import SSLConnection; from config import celery_app as a; "
        "print(SSLConnection(**a.connection().ssl).cert_reqs.name, a.backend.connparams['ssl_cert_reqs'].name)"
    )

    def certificates(self, query: str) -> str:
        urls = dict.fromkeys(("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"), f"rediss://127.0.0.1:1/0{query}")
        result = run("-c", self.show, **urls)
        return result.stdout.strip() or result.stderr

    def test_it_is_required(self) -> None:
        for query in ("", "?ssl_cert_reqs=required", "?ssl_ca_certs=/etc/hostname"):
            self.assertEqual(self.certificates(query), "CERT_REQUIRED CERT_REQUIRED", query)

    def test_it_can_be_left_out(self) -> None:
        self.assertIn("CERT_NONE CERT_NONE", self.certificates("?ssl_cert_reqs=none"))


class NameCheckTests(SimpleTestCase):
    def test_it_finds_an_old_setting(self) -> None:
        with override_settings(CELERYD_PREFETCH_MULTIPLIER=1), self.assertRaisesMessage(SystemCheckError, "core.E001"):
            call_command("check")

    def test_no_program_starts_with_one(self) -> None:
        wanted = "CELERYD_PREFETCH_MULTIPLIER has no effect"
        with override_settings(CELERYD_PREFETCH_MULTIPLIER=1), self.assertRaisesMessage(ImproperlyConfigured, wanted):
            load_settings()


class StartTests(SimpleTestCase):
    """What a person sees when a value is wrong."""

    def assert_one_sentence(self, result: subprocess.CompletedProcess[str], code: int) -> None:
        self.assertEqual(result.returncode, code)
        self.assertIn("CELERY_RESULT_EXPIRES must be a whole number of 1 or more, not “soon”.", result.stderr)
        self.assertEqual(result.stderr.strip().count("\n"), 0, result.stderr)

    def test_manage_says_so(self) -> None:
        self.assert_one_sentence(run("manage.py", "check", CELERY_RESULT_EXPIRES="soon"), 1)

    def test_celery_says_so(self) -> None:
        for program in (*([name] for name in CELERY_PROGRAMS), ["inspect", "active"]):
            with self.subTest(program[0]):
                self.assert_one_sentence(run("-m", "celery", "-A", "config", *program, CELERY_RESULT_EXPIRES="soon"), 1)

    def test_every_program_refuses_a_name_without_effect(self) -> None:
        for program in PROGRAMS:
            with self.subTest(program[-1]):
                result = run(*program, CELERYD_CONCURRENCY="4")

                self.assertNotEqual(result.returncode, 0)
                self.assertRegex(result.stderr, r"\A.*CELERYD_CONCURRENCY has no effect.*\n\Z")

    def test_every_program_refuses_a_setting_without_effect(self) -> None:
        with TemporaryDirectory() as folder:
            app = copytree(ROOT / "app", Path(folder) / "app")
            with (app / "config/settings.py").open("a") as settings:
                settings.write("CELERYD_PREFETCH_MULTIPLIER = 1\n")
            with mock.patch(f"{__name__}.APP", app):
                for program in PROGRAMS:
                    with self.subTest(program[-1]):
                        result = run(*program)

                        self.assertNotEqual(result.returncode, 0)
                        self.assertRegex(result.stderr, r"\A.*CELERYD_PREFETCH_MULTIPLIER has no effect.*\n\Z")

    def test_a_folder_of_logs_that_cannot_be_made_is_told_too(self) -> None:
        for folder in ("/proc/nope", "/etc/passwd"):
            result = run("manage.py", "check", LOG_STRATEGY="pid", LOGS_DIR=folder)

            self.assertRegex(result.stderr, r"\Amanage.py: LOGS_DIR must be a folder .*\n\Z")

    def test_gunicorn_gives_up(self) -> None:
        self.assert_one_sentence(run("-c", "import config.wsgi", CELERY_RESULT_EXPIRES="soon"), 3)

    def test_production_passes_djangos_deployment_checks(self) -> None:
        key = "".join(chr(33 + number) for number in range(80))

        result = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", SECRET_KEY=key)

        self.assertEqual(result.returncode, 0, result.stderr)
