"""Readers of environment variables: each takes a name and says in one sentence what is wrong with its value."""

import os
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

import environ
from click import ClickException
from django.core.exceptions import ImproperlyConfigured

env = environ.Env()
# Every variable that settings read: docs/settings.md, .env.example and the system check are compared with it.
READ: set[str] = set()
EMAIL_PORTS: dict[str, int | None] = {
    "smtp": 25,
    "smtp+tls": 587,
    "smtp+ssl": 465,
    "consolemail": None,
    "filemail": None,
    "memorymail": None,
}


class WrongSetting(ImproperlyConfigured, ClickException):
    """What `celery` on the command line prints as one sentence, being a ClickException, and Django's tools too."""


def text(name: str, default: str | None = None) -> str:
    READ.add(name)
    value = os.environ.get(name, "").strip() or default
    if value is None:
        raise WrongSetting(f"{name} is required when DEBUG is off.")
    return value


def boolean(name: str, default: bool = False) -> bool:
    value = text(name, str(default)).lower()
    if value not in {*env.BOOLEAN_TRUE_STRINGS, "false", "off", "no", "n", "0"}:
        raise WrongSetting(f"{name} must be true or false, not “{value}”.")
    return value in env.BOOLEAN_TRUE_STRINGS


def integer(name: str, default: int, minimum: int = 1) -> int:
    value = text(name, str(default))
    try:
        number = int(value)
    except ValueError:
        raise WrongSetting(f"{name} must be a whole number, not “{value}”.") from None
    if number < minimum:
        raise WrongSetting(f"{name} must be {minimum} or more, not {number}.")
    return number


def choice(name: str, default: str, allowed: Collection[str]) -> str:
    value = text(name, default)
    if value not in allowed:
        raise WrongSetting(f"{name} must be one of {', '.join(allowed)}, not “{value}”.")
    return value


def names(name: str, default: str | None = None) -> list[str]:
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def url(name: str, default: str | None, schemes: Collection[str]) -> str:
    """A URL, checked for its scheme and port. What is wrong is told without the URL, which may hold a password."""
    value = text(name, default)
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise WrongSetting(f"{name} must be a URL whose port is a number between 0 and 65535.") from None
    if parts.scheme not in schemes or "://" not in value:
        raise WrongSetting(f"{name} must be a URL that begins with {listed(schemes)}.")
    return value


def listed(schemes: Collection[str]) -> str:
    return " or ".join(f"{scheme}://" for scheme in schemes)


def database(name: str, default: str | None) -> dict[str, Any]:
    value = url(name, default, ["postgres", "postgresql", "sqlite"])
    config: dict[str, Any] = env.db_url_config(value)
    if config["ENGINE"].endswith("postgresql"):
        config |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
        config["OPTIONS"] = {"connect_timeout": 5, **config.get("OPTIONS", {})}
    return config


def email(name: str, default: str | None) -> dict[str, Any]:
    """Django's EMAIL_* settings from `smtp://`, `smtp+tls://` (STARTTLS), `smtp+ssl://` or a local backend."""
    value = url(name, default, EMAIL_PORTS)
    config: dict[str, Any] = env.email_url_config(value)
    if config["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend":
        config["EMAIL_BACKEND"] = "core.smtp.EmailBackend"
    config["EMAIL_PORT"] = config["EMAIL_PORT"] or EMAIL_PORTS[urlsplit(value).scheme]
    return config
