import logging.config
import os
from typing import Any

from celery import Celery, Task
from celery.signals import setup_logging
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("django_saas")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def use_django_logging(loglevel: int = logging.WARNING, **kwargs: Any) -> None:
    """Keep Celery from replacing Django's LOGGING; a `-l` more talkative than its default is honoured."""
    logging.config.dictConfig(settings.LOGGING)
    if loglevel < logging.WARNING:
        logging.getLogger("celery").setLevel(loglevel)


@app.task(bind=True, ignore_result=True)
def debug_task(self: Task[Any, Any]) -> None:
    print(f"Request: {self.request!r}")
