"""Celery's settings out of Django's. Workers show theirs to Flower, and mask what they know by Celery's names alone."""

from celery.app.defaults import SETTING_KEYS
from django.conf import settings

SETTINGS = {key: getattr(settings, name) for key in SETTING_KEYS if hasattr(settings, name := f"CELERY_{key.upper()}")}
# Celery's part for Django looks for this one under Django's name.
SETTINGS["CELERY_DB_REUSE_MAX"] = settings.CELERY_DB_REUSE_MAX
