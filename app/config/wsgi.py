import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

from config.startup import load_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# Gunicorn's code for "this will not boot": the master stops too, where any other code makes it try for ever.
WORKER_BOOT_ERROR = 3

try:
    load_settings()
    application = get_wsgi_application()
except ImproperlyConfigured as error:
    print(f"config.wsgi: {error}", file=sys.stderr)
    sys.exit(WORKER_BOOT_ERROR)
