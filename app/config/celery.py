import logging.config
import os
import sys
from typing import Any

from celery import Task
from celery.signals import (
    beat_init,
    celeryd_init,
    import_modules,
    setup_logging,
    task_postrun,
    task_prerun,
    worker_process_shutdown,
    worker_ready,
)
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import close_old_connections

from config.logging import stdout_is_journal
from config.startup import load_settings
from core import broker
from core.publishing import QuickCelery

log = logging.getLogger(__name__)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

broker.install()


@import_modules.connect
def refuse_wrong_settings(**kwargs: Any) -> None:
    """Stop `celery` where its later receivers would fail: it logs a traceback for each and carries on."""
    try:
        load_settings()
    except ImproperlyConfigured as error:
        sys.exit(f"Error: {error}")


app = QuickCelery("django_saas")
# Not all of Django's: what is there is shown.
app.config_from_object("config.celeryconfig:SETTINGS")
app.autodiscover_tasks()
app.steps["worker"].add("core.durable.keeper:KeeperStep")
app.steps["worker"].add("core.draining:LeaveStep")
app.steps["consumer"].add("core.watchdog:WatchStep")


@setup_logging.connect
def use_django_logging(loglevel: int = logging.WARNING, **kwargs: Any) -> None:
    """Keep Celery from replacing Django's LOGGING; a `-l` more talkative than its default is honoured."""
    logging.config.dictConfig(settings.LOGGING)
    if loglevel < logging.WARNING:
        logging.getLogger("celery").setLevel(loglevel)


@task_prerun.connect
@task_postrun.connect
def close_connections(sender: Any, **kwargs: Any) -> None:
    """What is too old or broken, as Django does around each request. An eager call's is its caller's."""
    if not sender.request.is_eager:
        close_old_connections()


@worker_process_shutdown.connect
def write_what_waits(**kwargs: Any) -> None:
    """A child of the worker ends without what Python does at exit."""
    for handler in logging.root.handlers:
        handler.flush()


@celeryd_init.connect
def prepare_worker(conf: Any, **kwargs: Any) -> None:
    if conf.broker_url.startswith("memory://"):
        sys.exit("A worker on memory:// receives nothing: set CELERY_BROKER_URL, or use `manage.py runserver` alone.")
    be_patient(conf)


@celeryd_init.connect
def be_silent_on_the_way_out(**kwargs: Any) -> None:
    """What Celery tells a terminal as it stops passes every logger by; the journal would take it for a crash."""
    from celery.apps import worker  # noqa: PLC0415 - web processes have no use for it

    if stdout_is_journal():
        worker.safe_say = lambda *_: None  # type: ignore[attr-defined]  # the stubs leave it out


@celeryd_init.connect
def add_dead_letters(options: dict[str, Any], **kwargs: Any) -> None:
    """The default worker consumes them too. Before -X takes queues away again: what it names stays unconsumed."""
    queues = options.get("queues") or []
    if "celery" in queues and "dead_letter" not in queues:
        queues.append("dead_letter")


@worker_ready.connect
def tell_that_it_is_ready(sender: Any, **kwargs: Any) -> None:
    """In our own name: Celery's line of the kind is below the level at which production hears Celery."""
    queues = ", ".join(sender.app.amqp.queues.consume_from)
    logging.getLogger("core.worker").info("%s is ready and consumes %s", sender.hostname, queues)


@beat_init.connect
def prepare_beat(sender: Any, **kwargs: Any) -> None:
    if sender.app.conf.broker_url.startswith("memory://"):
        log.warning("What Beat sends to memory:// reaches no worker: set CELERY_BROKER_URL.")
    be_patient(sender.app.conf)


def be_patient(conf: Any) -> None:
    """Let a process without users wait for the broker, where settings make web requests give up at once."""
    conf.task_publish_retry = True
    conf.broker_connection_timeout = 5
    conf.redis_socket_timeout = 10
    options = {"socket_timeout": 10, "socket_connect_timeout": 5, "max_retries": None}
    conf.broker_transport_options = {**conf.broker_transport_options, **options}


@app.task(bind=True, ignore_result=True)
def debug_task(self: Task[Any, Any]) -> None:
    print(f"Request: {self.request!r}")
