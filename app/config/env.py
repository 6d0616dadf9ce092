"""Readers of environment variables: each takes a name and says in one sentence what is wrong with its value."""

import os
import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from email.policy import SMTP
from importlib.util import find_spec
from pathlib import Path
from ssl import CERT_REQUIRED, VerifyMode
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import environ
from click import ClickException
from django.core.exceptions import ImproperlyConfigured
from django.http.request import split_domain_port
from psycopg import ProgrammingError
from psycopg.conninfo import make_conninfo

env = environ.Env()
# Every variable that settings read: docs/settings.md, .env.example and the system check are compared with it.
READ: set[str] = set()
FALSE = ("false", "off", "no", "n", "0")
# What django-environ reads of a file, and what it has no need to.
LINE = re.compile(r"(export )?[A-Za-z_0-9]+=.*|\s*(#.*)?")
# What PostgreSQL, sockets and Celery's clocks take.
MAXIMUM = 2**31 - 1
# Celery's command line puts these into the environment of its own processes.
SET_BY_CELERY = {
    f"CELERY_{name}"
    for name in ("CONFIG_MODULE", "LOADER", "LOG_FILE", "LOG_REDIRECT", "LOG_REDIRECT_LEVEL", "SKIP_CHECKS")
}
EMAIL_PORTS: dict[str, int | None] = {
    "smtp": 25,
    "smtp+tls": 587,
    "smtp+ssl": 465,
    "consolemail": None,
    "filemail": None,
    "memorymail": None,
    "inbox": None,
}
INBOX = "django_mail_preview.backends.EmailBackend"
# Spelt as both redis-py and Celery know them.
CERTIFICATES = ("required", "optional", "none")
# What may stand behind the ? of a broker's URL, and works with Kombu, the result backend and redis-py alike.
CELERY_PARAMETERS = {
    "rediss": ("ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"),
    "redis+socket": ("virtual_host",),
}
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class WrongSetting(ImproperlyConfigured, ClickException):
    """Django's tools know it as the one, `celery` as the other, of which it prints the sentence alone."""


def read_files(name: str, usual: Iterable[Path]) -> None:
    """Add what the environment lacks from the file that `name` names, or from the usual ones that are there."""
    named = text(name, "")
    if named and not Path(named).exists():
        raise WrongSetting(f"{name} must name a file that is there.")
    for path in [Path(named)] if named else usual:
        if path.exists():
            refuse_lines(path)
            env.read_env(path)


def refuse_lines(path: Path) -> None:
    """Refuse what would be left out with a warning that shows it, since it may hold a password."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise WrongSetting(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise WrongSetting(f"{path} cannot be read: it is not UTF-8.") from None
    for number, line in enumerate(lines, 1):
        if not LINE.fullmatch(line):
            raise WrongSetting(
                f"{path}, line {number}, must be NAME=value without spaces before the value, or # and a comment."
            )


def text(name: str, default: str | None = None) -> str:
    READ.add(name)
    value = os.environ.get(name, "").strip() or default
    if value is None:
        raise WrongSetting(f"{name} is required when DEBUG is off; to develop, copy .env.example to .env.")
    if not value.isprintable():
        raise WrongSetting(f"{name} must be one line without control characters.")
    return value


def boolean(name: str, default: bool = False) -> bool:
    value = text(name, str(default)).lower()
    if value not in (*env.BOOLEAN_TRUE_STRINGS, *FALSE):
        raise WrongSetting(f"{name} must be true or false, not “{value}”.")
    return value in env.BOOLEAN_TRUE_STRINGS


def integer(name: str, default: int, minimum: int = 1) -> int:
    value = text(name, str(default))
    try:
        number = int(value)
    except ValueError:
        raise WrongSetting(f"{name} must be a whole number of {minimum} or more, not “{value}”.") from None
    if number < minimum:
        raise WrongSetting(f"{name} must be a whole number of {minimum} or more, not {number}.")
    if number > MAXIMUM:
        raise WrongSetting(f"{name} must be a whole number of {MAXIMUM} or less, not {number}.")
    return number


def choice(name: str, default: str, allowed: Collection[str]) -> str:
    value = text(name, default)
    if value not in allowed:
        raise WrongSetting(f"{name} must be one of {', '.join(allowed)}, not “{value}”.")
    return value


def words(name: str) -> list[str]:
    return [part.strip() for part in text(name, "").split(",") if part.strip()]


def hosts(name: str, default: str | None = None) -> list[str]:
    found = [part.strip() for part in text(name, default).split(",") if part.strip()]
    if not found or not all(host == "*" or is_host(host) for host in found):
        raise WrongSetting(f"{name} must be host names without scheme and port, separated by commas.")
    return found


def is_host(value: str) -> bool:
    host, port = split_domain_port(value)
    return bool(host) and not port


def url(name: str, default: str | None, schemes: Collection[str]) -> tuple[str, SplitResult]:
    """A URL and its parts. What is wrong with it is told without it, since it may hold a password."""
    value = text(name, default)
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise WrongSetting(f"{name} must be a URL with a valid host and a port from 1 to 65535.")
    if parts.scheme not in schemes or "://" not in value:
        raise WrongSetting(f"{name} must be a URL that begins with {' or '.join(f'{s}://' for s in schemes)}.")
    return value, parts


def site(name: str, default: str | None) -> str:
    value, parts = url(name, default, ("https", "http"))
    if not split_domain_port(parts.netloc)[0] or value.rstrip("/") != f"{parts.scheme}://{parts.netloc}":
        raise WrongSetting(f"{name} must be a scheme and a host alone, like https://example.org.")
    return value.rstrip("/")


def celery_url(name: str, default: str, schemes: Collection[str]) -> str:
    value, parts = url(name, default, schemes)
    if parts.scheme in ("redis", "rediss") and not (parts.path.strip("/") or "0").isdecimal():
        raise WrongSetting(f"{name} must end in the number of a Redis database, like /0.")
    if parts.scheme == "redis+socket" and not parts.path.strip("/"):
        raise WrongSetting(f"{name} must name a socket, like redis+socket:///run/redis.sock.")
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    allowed = CELERY_PARAMETERS.get(parts.scheme, ())
    if not asked.keys() <= set(allowed):
        raise WrongSetting(f"{name} must have these parameters alone: {', '.join(allowed) or 'none'}.")
    if asked.get("ssl_cert_reqs", "required") not in CERTIFICATES:
        raise WrongSetting(f"{name} must have as its ssl_cert_reqs one of {', '.join(CERTIFICATES)}.")
    if not asked.get("virtual_host", "0").isdecimal():
        raise WrongSetting(f"{name} must have as its virtual_host the number of a Redis database.")
    return value


def certificates(url: str) -> dict[str, VerifyMode] | None:
    """What holds unless the URL says otherwise: without, Kombu trusts any server and the result backend refuses."""
    return {"ssl_cert_reqs": CERT_REQUIRED} if url.startswith("rediss://") else None


def database(name: str, default: str | None) -> dict[str, Any]:
    value, parts = url(name, default, ("postgres", "postgresql", "sqlite"))
    if not parts.path.strip("/"):
        raise WrongSetting(f"{name} must end in the name of a database.")
    config: dict[str, Any] = env.db_url_config(value)
    if config["ENGINE"].endswith("postgresql"):
        check_options(name, parts.query)
        config |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
        config["OPTIONS"] = {"connect_timeout": 3, **config.get("OPTIONS", {})}
    else:
        if parts.query:
            raise WrongSetting(f"{name} must have no parameters with sqlite://.")
        # Two that read and then both write would fail; so the second waits.
        config["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20}
    return config


def check_options(name: str, query: str) -> None:
    """libpq looks at the names here, and at the values only when it connects."""
    options = dict(parse_qsl(query, keep_blank_values=True))
    try:
        make_conninfo("", **options)
    except ProgrammingError:
        raise WrongSetting(f"{name} must have no other parameters than those of libpq.") from None
    if options.get("sslmode", "prefer") not in SSL_MODES:
        raise WrongSetting(f"{name} must have as its sslmode one of {', '.join(SSL_MODES)}.")
    if not options.get("connect_timeout", "3").isdecimal():
        raise WrongSetting(f"{name} must have as its connect_timeout a whole number of seconds.")


def mail_server(name: str, default: str | None) -> dict[str, Any]:
    """Django's EMAIL_* settings from `smtp://`, `smtp+tls://` (STARTTLS), `smtp+ssl://` or a local backend."""
    value, parts = url(name, default, EMAIL_PORTS)
    if parts.scheme == "inbox":
        return {"EMAIL_BACKEND": inbox(name)}
    config: dict[str, Any] = env.email_url_config(value)
    config["EMAIL_PORT"] = config["EMAIL_PORT"] or EMAIL_PORTS[parts.scheme]
    if parts.scheme.startswith("smtp"):
        if not split_domain_port(parts.netloc.rpartition("@")[2])[0] or value.count("@") > 1:
            raise WrongSetting(f"{name} must name a host, like smtp://localhost:25, after at most one @.")
        if bool(parts.username) != bool(parts.password):
            raise WrongSetting(f"{name} must have both a user and a password, or neither.")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise WrongSetting(f"{name} must end with the host and the port.")
        config["EMAIL_BACKEND"] = "core.smtp.EmailBackend"
    if parts.scheme == "filemail":
        if parts.netloc or not parts.path.strip("/"):
            raise WrongSetting(f"{name} must name a folder by its absolute path, like filemail:///folder.")
        # django-environ takes the first slash away, which leaves a path relative to wherever a process starts.
        config["EMAIL_FILE_PATH"] = unquote(parts.path)
    return config


def inbox(name: str) -> str:
    """The backend that shows mails in the browser: to everybody, so in development alone."""
    if not boolean("DEBUG"):
        raise WrongSetting(f"{name} must not be inbox:// when DEBUG is off: everybody could read the mails.")
    if find_spec("django_mail_preview") is None:
        raise WrongSetting(f"{name} as inbox:// takes the package django-mail-preview: pip install -e '.[local]'")
    return INBOX


def dsn(name: str) -> str:
    if not text(name, ""):
        return ""
    value, parts = url(name, None, ("https", "http"))
    if not (parts.username and parts.hostname and parts.path.rpartition("/")[2].isdecimal()):
        raise WrongSetting(f"{name} must be a DSN as Sentry shows it, like https://key@sentry.example.org/1.")
    return value


def sender(name: str, default: str | None) -> str:
    value = text(name, default)
    if not is_mailbox(value):
        raise WrongSetting(f"{name} must be one e-mail address, like “Django SaaS <noreply@example.org>”.")
    return value


def is_mailbox(value: str) -> bool:
    try:
        header = SMTP.header_factory("From", value)
    except IndexError:
        # The parser looks behind an @ at the end.
        return False
    return not header.defects and len(header.addresses) == 1 and bool(header.addresses[0].domain)


def refuse_unknown(*prefixes: str) -> None:
    """Refuse what would have no effect. Last, when everything that settings read is known."""
    for name in sorted(os.environ):
        if name.startswith(prefixes) and name not in READ | SET_BY_CELERY:
            raise WrongSetting(
                f"The environment variable {name} has no effect: there is none of that name.{hint(name)}"
            )


def hint(name: str) -> str:
    close = get_close_matches(name, READ, n=1)
    return f" Did you mean {close[0]}?" if close else ""
