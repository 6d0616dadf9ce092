"""Readers of environment variables: each takes a name and says in one sentence what is wrong with its value."""

import os
from collections.abc import Collection
from email.utils import parseaddr
from ssl import CERT_REQUIRED, VerifyMode
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

import environ
from click import ClickException
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()
# Every variable that settings read: docs/settings.md, .env.example and the system check are compared with it.
READ: set[str] = set()
FALSE = ("false", "off", "no", "n", "0")
EMAIL_PORTS: dict[str, int | None] = {
    "smtp": 25,
    "smtp+tls": 587,
    "smtp+ssl": 465,
    "consolemail": None,
    "filemail": None,
    "memorymail": None,
}
# Spelt as both redis-py and Celery know them.
CERTIFICATES = ("required", "optional", "none")


class WrongSetting(ImproperlyConfigured, ClickException):
    """Django's tools know it as the one, `celery` as the other, of which it prints the sentence alone."""


def text(name: str, default: str | None = None) -> str:
    READ.add(name)
    value = os.environ.get(name, "").strip() or default
    if value is None:
        raise WrongSetting(f"{name} is required when DEBUG is off.")
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
    return number


def choice(name: str, default: str, allowed: Collection[str]) -> str:
    value = text(name, default)
    if value not in allowed:
        raise WrongSetting(f"{name} must be one of {', '.join(allowed)}, not “{value}”.")
    return value


def names(name: str, default: str | None = None) -> list[str]:
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def url(name: str, default: str | None, schemes: Collection[str]) -> tuple[str, SplitResult]:
    """A URL and its parts. What is wrong with it is told without it, since it may hold a password."""
    value = text(name, default)
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise WrongSetting(f"{name} must be a URL with a valid host and a port up to 65535.") from None
    if parts.scheme not in schemes or "://" not in value:
        raise WrongSetting(f"{name} must be a URL that begins with {' or '.join(f'{s}://' for s in schemes)}.")
    return value, parts


def site(name: str, default: str | None) -> str:
    value, parts = url(name, default, ("https", "http"))
    if not parts.hostname or parts.path.strip("/") or parts.query:
        raise WrongSetting(f"{name} must be a scheme and a host alone, like https://example.org.")
    return value.rstrip("/")


def celery_url(name: str, default: str, schemes: Collection[str]) -> str:
    value, parts = url(name, default, schemes)
    if parts.scheme in ("redis", "rediss") and not (parts.path.strip("/") or "0").isdecimal():
        raise WrongSetting(f"{name} must end in the number of a Redis database, like /0.")
    asked = parse_qs(parts.query, keep_blank_values=True).get("ssl_cert_reqs", CERTIFICATES)
    if asked[0] not in CERTIFICATES:
        raise WrongSetting(f"{name} must have as its ssl_cert_reqs one of {', '.join(CERTIFICATES)}.")
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
        config |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
        config["OPTIONS"] = {"connect_timeout": 3, **config.get("OPTIONS", {})}
    else:
        # Two that read and then both write would fail; so the second waits.
        config["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20, **config.get("OPTIONS", {})}
    return config


def mail_server(name: str, default: str | None) -> dict[str, Any]:
    """Django's EMAIL_* settings from `smtp://`, `smtp+tls://` (STARTTLS), `smtp+ssl://` or a local backend."""
    value, parts = url(name, default, EMAIL_PORTS)
    config: dict[str, Any] = env.email_url_config(value)
    config["EMAIL_PORT"] = config["EMAIL_PORT"] or EMAIL_PORTS[parts.scheme]
    if parts.scheme.startswith("smtp"):
        if not parts.hostname:
            raise WrongSetting(f"{name} must name a host, like smtp://localhost:25.")
        config["EMAIL_BACKEND"] = "core.smtp.EmailBackend"
    return config


def sender(name: str, default: str | None) -> str:
    value = text(name, default)
    if not all(parseaddr(value)[1].partition("@")[::2]):
        raise WrongSetting(f"{name} must be an e-mail address, like “Django SaaS <noreply@example.org>”.")
    return value
