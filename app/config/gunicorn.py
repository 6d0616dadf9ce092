"""Gunicorn's own lines go where the application's go. What differs between hosts is on its command line."""

import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

try:
    logconfig_dict = settings.LOGGING
except ImproperlyConfigured as error:
    sys.exit(f"config.gunicorn: {error}")

# Neither referrer nor query: either may hold what is nobody else's business.
access_log_format = "%(m)s %(U)s %(s)s in %(M)s ms %({x-request-id}o)s"
