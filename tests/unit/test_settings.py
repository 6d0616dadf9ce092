import os
import re
import runpy
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from unittest import mock

from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase

from config import env

ROOT = Path(__file__).parents[2]
PRODUCTION = {
    "SECRET_KEY": "a-key-for-tests",
    "ALLOWED_HOSTS": "example.org",
    "DATABASE_URL": "postgres://saas:pw@db.example.org/saas",
    "SITE_URL": "https://example.org",
    "EMAIL_URL": "smtp+tls://user:p%40ss@mail.example.org",
    "DEFAULT_FROM_EMAIL": "Django SaaS <noreply@example.org>",
    "LOG_STRATEGY": "console",
}


def read(**changes: str) -> dict[str, Any]:
    """Settings as a process in production reads them, with `changes` to its environment."""
    with (
        mock.patch.dict(os.environ, {**PRODUCTION, "ENV_FILE": os.devnull, **changes}, clear=True),
        mock.patch.object(sys, "argv", ["gunicorn"]),
    ):
        return runpy.run_path(str(ROOT / "app/config/settings.py"))


class ProductionTests(SimpleTestCase):
    def test_they_are_secure(self) -> None:
        settings = read()

        for name in ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS"):
            self.assertTrue(settings[name], name)
        self.assertFalse(settings["DEBUG"])
        self.assertTrue(settings["PASSWORD_HASHERS"][0].endswith("Argon2PasswordHasher"))

    def test_the_mail_server_is_that_of_email_url(self) -> None:
        settings = read(EMAIL_TIMEOUT="7")

        self.assertEqual(
            {name: settings[f"EMAIL_{name}"] for name in ("HOST", "PORT", "HOST_USER", "HOST_PASSWORD", "USE_TLS")},
            {"HOST": "mail.example.org", "PORT": 587, "HOST_USER": "user", "HOST_PASSWORD": "p@ss", "USE_TLS": True},
        )
        self.assertEqual(settings["EMAIL_TIMEOUT"], 7)

    def test_mails_go_to_the_folder_of_email_url_wherever_a_process_starts(self) -> None:
        self.assertEqual(read(EMAIL_URL="filemail:///var/my%20mails")["EMAIL_FILE_PATH"], "/var/my mails")

    def test_the_inbox_that_everybody_may_read_is_for_development_alone(self) -> None:
        with self.assertRaisesMessage(ImproperlyConfigured, "EMAIL_URL must not be inbox:// when DEBUG is off"):
            read(EMAIL_URL="inbox://")

        self.assertNotIn("django_mail_preview", read()["INSTALLED_APPS"])
        self.assertNotIn("frame-src", read()["CONTENT_SECURITY_POLICY"])
        self.assertNotIn("mail-preview", (ROOT / "requirements/production.txt").read_text())
        self.assertIn("django_mail_preview", read(EMAIL_URL="inbox://", DEBUG="true")["INSTALLED_APPS"])

    def test_the_inbox_without_its_package_says_what_to_install(self) -> None:
        with (
            mock.patch("config.env.find_spec", return_value=None),
            self.assertRaisesMessage(ImproperlyConfigured, "pip install -e '.[local]'"),
        ):
            read(EMAIL_URL="inbox://", DEBUG="true")

    def test_fallbacks_of_the_key_are_separated_by_commas(self) -> None:
        self.assertEqual(read(SECRET_KEY_FALLBACKS="old, older,")["SECRET_KEY_FALLBACKS"], ["old", "older"])
        self.assertEqual(read()["SECRET_KEY_FALLBACKS"], [])

    def test_a_file_adds_what_the_environment_lacks(self) -> None:
        with NamedTemporaryFile("w") as file:
            file.write("EMAIL_TIMEOUT=7\nSITE_URL=https://example.com\n")
            file.flush()

            settings = read(ENV_FILE=file.name)

        self.assertEqual((settings["EMAIL_TIMEOUT"], settings["SITE_URL"]), (7, "https://example.org"))

    def test_a_file_that_cannot_be_read_is_told_with_its_line_but_not_its_content(self) -> None:
        for content, said in {
            b"# A key\n\nexport DEBUG=false\nSECRET_KEY = hush": "line 4, must be NAME=value",
            b"hush": "line 1, must be NAME=value",
            b"SECRET_KEY=hush\xff": "cannot be read: it is not UTF-8.",
        }.items():
            with self.subTest(content), NamedTemporaryFile() as file:
                file.write(content)
                file.flush()

                with self.assertRaisesMessage(ImproperlyConfigured, said) as caught:
                    read(ENV_FILE=file.name)

                self.assertIn(file.name, str(caught.exception))
                self.assertNotIn("hush", str(caught.exception))

    def test_a_folder_is_no_file(self) -> None:
        with self.assertRaisesMessage(ImproperlyConfigured, "/tests cannot be read: Is a directory."):
            read(ENV_FILE=str(ROOT / "tests"))

    def test_what_has_no_default_is_required(self) -> None:
        for name in ("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "SITE_URL", "EMAIL_URL", "DEFAULT_FROM_EMAIL"):
            with self.subTest(name), self.assertRaisesMessage(ImproperlyConfigured, f"{name} is required"):
                read(**{name: ""})

    def test_debug_needs_nothing(self) -> None:
        settings = read(DEBUG="true", **dict.fromkeys(PRODUCTION, ""))

        self.assertEqual(settings["CELERY_BROKER_URL"], "memory://")
        self.assertEqual(settings["CELERY_RESULT_BACKEND"], "cache+memory://")
        self.assertTrue(settings["DATABASES"]["default"]["ENGINE"].endswith("sqlite3"))


def taken(settings: dict[str, Any]) -> dict[str, Any]:
    """What became of the variables that go elsewhere than into Celery."""
    limits = settings["RATE_LIMITS"]
    loggers = settings["LOGGING"]["loggers"]
    return {
        "EMAIL_TIMEOUT": settings["EMAIL_TIMEOUT"],
        "RATE_LIMIT_WINDOW": settings["RATE_LIMIT_WINDOW"],
        **{f"RATE_LIMIT_{page}_PER_{what}".upper(): limits[page][what] for page in limits for what in limits[page]},
        "CELERY_TASK_MAX_RETRIES": settings["CELERY_TASK_MAX_RETRIES"],
        "CELERY_TASK_DEFAULT_RETRY_DELAY": settings["CELERY_TASK_DEFAULT_RETRY_DELAY"],
        "DURABLE_KEEP_DONE": settings["DURABLE_KEEP_DONE"],
        "DJANGO_LOG_LEVEL": loggers["django"]["level"],
        "CELERY_LOG_LEVEL": loggers["celery"]["level"],
        "CELERY_TASK_LOG_LEVEL": loggers["celery.task"]["level"],
    }


class DefaultTests(SimpleTestCase):
    defaults = {
        "EMAIL_TIMEOUT": 10,
        "RATE_LIMIT_WINDOW": 900,
        "RATE_LIMIT_LOGIN_PER_ADDRESS": 50,
        "RATE_LIMIT_LOGIN_PER_ACCOUNT": 10,
        "RATE_LIMIT_REGISTER_PER_ADDRESS": 20,
        "RATE_LIMIT_REGISTER_PER_ACCOUNT": 5,
        "RATE_LIMIT_RESET_PER_ADDRESS": 20,
        "RATE_LIMIT_RESET_PER_ACCOUNT": 5,
        "CELERY_TASK_MAX_RETRIES": 3,
        "CELERY_TASK_DEFAULT_RETRY_DELAY": 60,
        "DURABLE_KEEP_DONE": 86_400,
        "DJANGO_LOG_LEVEL": "INFO",
        "CELERY_LOG_LEVEL": "ERROR",
        "CELERY_TASK_LOG_LEVEL": "ERROR",
    }

    def test_they_are_those_of_the_specification(self) -> None:
        self.assertEqual(taken(read()), self.defaults)

    def test_they_are_those_of_the_documentation(self) -> None:
        rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (\w+) \|", (ROOT / "docs/settings.md").read_text(), re.MULTILINE))

        self.assertEqual({name: rows[name] for name in self.defaults}, {n: str(v) for n, v in self.defaults.items()})

    def test_each_variable_takes_effect(self) -> None:
        levels = {"DJANGO_LOG_LEVEL": "DEBUG", "CELERY_LOG_LEVEL": "INFO", "CELERY_TASK_LOG_LEVEL": "WARNING"}
        changed = {name: 9001 + number for number, name in enumerate(self.defaults)} | levels

        self.assertEqual(taken(read(**{name: str(value) for name, value in changed.items()})), changed)

    def test_our_own_loggers_have_djangos_level(self) -> None:
        loggers = read(DJANGO_LOG_LEVEL="WARNING")["LOGGING"]["loggers"]

        self.assertEqual({loggers[name]["level"] for name in ("core", "accounts")}, {"WARNING"})

    def test_browsers_insist_on_tls_for_a_year(self) -> None:
        self.assertEqual(read()["SECURE_HSTS_SECONDS"], 365 * 24 * 3600)


class WrongValueTests(SimpleTestCase):
    wrong = {
        "word for a choice": ("DEBUG", "maybe", "DEBUG must be true or false, not “maybe”."),
        "word": ("EMAIL_TIMEOUT", "ten", "EMAIL_TIMEOUT must be a whole number of 1 or more, not “ten”."),
        "negative": (
            "CELERY_RESULT_EXPIRES",
            "-1",
            "CELERY_RESULT_EXPIRES must be a whole number of 1 or more, not",
        ),
        "limit": ("RATE_LIMIT_LOGIN_PER_ADDRESS", "-5", "RATE_LIMIT_LOGIN_PER_ADDRESS must be a whole number of 0"),
        "strategy": ("LOG_STRATEGY", "consol", "LOG_STRATEGY must be one of console, pid"),
        "level": ("CELERY_LOG_LEVEL", "LOUD", "CELERY_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        "no scheme": (
            "CELERY_BROKER_URL",
            "localhost:6379/0",
            "CELERY_BROKER_URL must be a URL that begins with ",
        ),
        "port": (
            "CELERY_BROKER_URL",
            "redis://localhost:redis/0",
            "CELERY_BROKER_URL must be a URL with a valid host",
        ),
        "number": ("CELERY_RESULT_BACKEND", "redis://localhost/one", "CELERY_RESULT_BACKEND must end in the number"),
        "engine": ("DATABASE_URL", "mysql://localhost/saas", "DATABASE_URL must be a URL that begins with postgres://"),
        "name": ("DATABASE_URL", "postgres://localhost", "DATABASE_URL must end in the name of a database."),
        "path": ("SITE_URL", "https://example.org/app", "SITE_URL must be a scheme and a host alone"),
        "sender": ("DEFAULT_FROM_EMAIL", "noreply", "DEFAULT_FROM_EMAIL must be one e-mail address"),
        "soft limit": ("CELERY_TASK_TIME_LIMIT", "10", "CELERY_TASK_SOFT_TIME_LIMIT must be less than"),
        "kept too shortly": ("DURABLE_KEEP_DONE", "7199", "DURABLE_KEEP_DONE must be 7200 or more with a CELERY_TASK"),
        "tasks too long": ("CELERY_TASK_TIME_LIMIT", "50000", "DURABLE_KEEP_DONE must be 102400 or more with a"),
        "too large": ("RATE_LIMIT_WINDOW", "9" * 20, "RATE_LIMIT_WINDOW must be a whole number of 2147483647 or less"),
        "control": ("DEFAULT_FROM_EMAIL", "a@example.org\nBcc: b@example.org", "DEFAULT_FROM_EMAIL must be one line"),
        "no dsn": ("LOG_STRATEGY", "sentry", "LOG_STRATEGY=sentry needs SENTRY_DSN."),
        "old name": ("CELERYD_CONCURRENCY", "4", "variable CELERYD_CONCURRENCY has no effect"),
        "limit misspelt": ("RATE_LIMIT_LOGIN_PER_ADRESS", "5", "Did you mean RATE_LIMIT_LOGIN_PER_ADDRESS?"),
        "durable misspelt": ("DURABLE_KEEP_DON", "9000", "Did you mean DURABLE_KEEP_DONE?"),
        "misspelt": ("CELERY_PREFETCH_MULTIPLYER", "1", "Did you mean CELERY_PREFETCH_MULTIPLIER?"),
    }
    # Of each variable, what must be refused.
    refused = {
        "ALLOWED_HOSTS": (",", "https://example.org", "example.org:443", "exa mple", "*.example.org"),
        "SITE_URL": (
            *("https://user:pw@example.org", "https://example.org#f", "https://exa mple.org", "https://*.example.org"),
            *("https://", "https://example.org?", "https://example.org:0"),
        ),
        "DEFAULT_FROM_EMAIL": ("a@example.org, b@example.org", "a@b c", "@example.org", "a@", "<a@example.org"),
        "EMAIL_URL": (
            *("smtp://", "smtp://u:p@ss@mail", "smtp://u@mail", "smtp://:p@mail", "smtp://mail?ssl=maybe"),
            *(
                "smtp+tls://mail?use_ssl=true",
                "smtp://mail:0",
                "smtp://host name",
                "filemail://",
                "filemail://folder/mails",
            ),
        ),
        "DATABASE_URL": (
            *("postgres://localhost:0/saas", "postgres://localhost?a", "sqlite:////tmp/x?foo=1"),
            *(
                f"postgres://localhost/saas?{query}"
                for query in ("conn_max_age=abc", "nonsense=1", "sslmode=banana", "connect_timeout=abc", "sslmode=")
            ),
        ),
        "CELERY_BROKER_URL": (
            *("redis://localhost:0/0", "redis+socket://", "memory://", "sentinel://localhost"),
            *(
                "redis://localhost/0?foo=1",
                "redis://localhost/0?socket_timeout=abc",
                "redis://localhost/?virtual_host=1",
            ),
            *("redis+socket:///run/redis.sock?virtual_host=abc", "redis+socket:///run/redis.sock?db=1"),
            *("rediss://localhost/0?ssl_cert_reqs=CERT_REQUIRED", "rediss://localhost/0?foo=1"),
        ),
        "CELERY_RESULT_BACKEND": ("cache+memory://", "redis+socket:///", "redis://localhost/0?socket_timeout=abc"),
        "ENV_FILE": ("/missing",),
    }
    accepted = {
        "ALLOWED_HOSTS": ("*", ".example.org, saas", "[::1],127.0.0.1"),
        "SITE_URL": ("https://127.0.0.1:8443/", "https://[::1]", "http://saas"),
        "DEFAULT_FROM_EMAIL": ("a@example.org", "Jörgs Dienst <noreply@10.0.0.1>", "a@bücher.example"),
        "EMAIL_URL": ("smtp://mail", "smtp+ssl://u%40x:p%2F@10.0.0.1:465/", "smtp://[::1]:25", "filemail:///folder"),
        "DATABASE_URL": (
            "postgres://u:p%40@[::1]:5433/saas?sslmode=require&connect_timeout=9",
            "postgres://%2Frun%2Fpg/saas",
        ),
        "CELERY_BROKER_URL": (
            "redis+socket:///run/redis.sock?virtual_host=3",
            "redis://:pw@localhost",
            "rediss://r/0?ssl_ca_certs=/ca",
        ),
        "SENTRY_DSN": ("https://key@sentry.example.org/1", "http://key:old@10.0.0.1:9000/sentry/42"),
    }

    def test_they_are_refused_by_name(self) -> None:
        for name, values in self.refused.items():
            for value in values:
                with self.subTest(name, value=value), self.assertRaisesMessage(ImproperlyConfigured, f"{name} must"):
                    read(**{name: value})

    def test_good_ones_are_not(self) -> None:
        for name, values in self.accepted.items():
            for value in values:
                with self.subTest(name, value=value):
                    self.assertTrue(read(**{name: value})["SITE_URL"])

    def test_they_are_told_in_one_sentence_with_the_variable(self) -> None:
        for case, (name, value, sentence) in self.wrong.items():
            with self.subTest(case), self.assertRaisesMessage(ImproperlyConfigured, sentence) as caught:
                read(**{name: value})
            self.assertEqual(str(caught.exception).count("\n"), 0)

    def test_a_url_is_not_repeated_since_it_may_hold_a_password(self) -> None:
        with self.assertRaises(ImproperlyConfigured) as caught:
            read(DATABASE_URL="mysql://saas:secret@localhost/saas")

        self.assertNotIn("secret", str(caught.exception))


class DocumentationTests(SimpleTestCase):
    def test_every_variable_is_explained_and_none_besides(self) -> None:
        read()
        text = (ROOT / "docs/settings.md").read_text()

        self.assertEqual(set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE)), env.READ)

    def test_every_variable_is_in_the_example_but_the_one_that_names_the_file(self) -> None:
        read()
        text = (ROOT / ".env.example").read_text()

        self.assertEqual(set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE)), env.READ - {"ENV_FILE"})

    def test_the_example_works_as_it_stands(self) -> None:
        lines = (ROOT / ".env.example").read_text().splitlines()
        example = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]", line))

        self.assertTrue(read(**dict.fromkeys(PRODUCTION, ""), **example)["DEBUG"])
