"""System checks of what Celery itself accepts without a word."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from celery.app.defaults import SETTING_KEYS
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from config import env

# Read by core.retries: Celery has no settings of these names.
OURS = {"CELERY_TASK_MAX_RETRIES", "CELERY_TASK_DEFAULT_RETRY_DELAY"}
SETTINGS = {f"CELERY_{key.upper()}" for key in SETTING_KEYS} | OURS
# Celery's command line puts these into the environment of its own processes.
SET_BY_CELERY = {
    f"CELERY_{name}"
    for name in ("CONFIG_MODULE", "LOADER", "LOG_FILE", "LOG_REDIRECT", "LOG_REDIRECT_LEVEL", "SKIP_CHECKS")
}


@register()
def check_celery_names(**kwargs: Any) -> list[CheckMessage]:
    return [
        *unknown("setting", dir(settings), SETTINGS, "core.E001"),
        *unknown("environment variable", os.environ, env.READ | SET_BY_CELERY, "core.E002"),
    ]


def unknown(kind: str, names: Iterable[str], known: set[str], check_id: str) -> list[CheckMessage]:
    return [
        Error(f"The {kind} {name} has no effect: there is none of that name.", hint=hint(name, known), id=check_id)
        for name in sorted(names)
        if name.startswith("CELERY") and name not in known
    ]


def hint(name: str, known: set[str]) -> str | None:
    close = get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]}?" if close else None


@register()
def check_time_limits(**kwargs: Any) -> list[CheckMessage]:
    if settings.CELERY_TASK_SOFT_TIME_LIMIT < settings.CELERY_TASK_TIME_LIMIT:
        return []
    return [Error("CELERY_TASK_SOFT_TIME_LIMIT must be less than CELERY_TASK_TIME_LIMIT.", id="core.E003")]
