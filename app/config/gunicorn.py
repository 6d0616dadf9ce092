"""Gunicorn's own lines go where the application's go. What differs between hosts is on its command line."""

import gc
import sys
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

try:
    logconfig_dict = settings.LOGGING
except ImproperlyConfigured as error:
    sys.exit(f"config.gunicorn: {error}")

# Neither referrer nor query: either may hold what is nobody else's business.
access_log_format = "%(m)s %(U)s %(s)s in %(M)s ms %({x-request-id}o)s"

# Loaded once, before the processes are forked, which share what none of them changes.
preload_app = True


def when_ready(server: Any) -> None:
    # The collector would touch all of it in each process, and so copy it.
    gc.freeze()
