"""System check of what Celery itself accepts without a word."""

from typing import Any

from celery.app.defaults import SETTING_KEYS
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

# Read by core.retries, and by Celery's part for Django: its list of settings lacks these names.
OURS = {"CELERY_TASK_MAX_RETRIES", "CELERY_TASK_DEFAULT_RETRY_DELAY", "CELERY_DB_REUSE_MAX"}
SETTINGS = {f"CELERY_{key.upper()}" for key in SETTING_KEYS} | OURS


def celery_names_without_effect() -> list[str]:
    return [name for name in dir(settings) if name.startswith("CELERY") and name not in SETTINGS]


@register()
def check_celery_names(**kwargs: Any) -> list[CheckMessage]:
    return [
        Error(f"The setting {name} has no effect: there is none of that name.", id="core.E001")
        for name in celery_names_without_effect()
    ]
