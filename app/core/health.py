import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Timer
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger(__name__)
BROKER_TIMEOUT = 0.4
DATABASE_TIMEOUT = 1


@never_cache
def health(request: HttpRequest) -> JsonResponse:
    """Answer 503 when the database fails. Web requests do without the broker: its absence is only logged."""
    broker_answers()
    if database_answers():
        return JsonResponse({"status": "ok"})
    return JsonResponse({"status": "error"}, status=503)


def database_answers() -> bool:
    try:
        check_database()
    except DatabaseError:
        log.exception("The database does not answer")
        return False
    return True


def broker_answers() -> bool:
    try:
        check_broker(settings.CELERY_BROKER_URL)
    except Exception as error:
        # Whatever it is, web requests do without the broker.
        log.warning("The broker does not answer: %s", type(error).__name__)
        return False
    return True


def check_database() -> None:
    with given_up_after(DATABASE_TIMEOUT), connection.cursor() as cursor:
        cursor.execute("SELECT 1")


@contextmanager
def given_up_after(seconds: float) -> Iterator[None]:
    """Cut an open connection after so long: no time-out of PostgreSQL's covers a server that is stopped.

    A new connection is bounded by `connect_timeout`.
    """
    timer = Timer(seconds, cut_connection, [connection.connection])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def cut_connection(raw: Any) -> None:
    if isinstance(raw, psycopg.Connection):
        with socket.socket(fileno=os.dup(raw.fileno())) as peer:
            peer.shutdown(socket.SHUT_RDWR)


def check_broker(url: str) -> None:
    if not url.startswith("memory://"):
        redis_client(url).ping()


@cache
def redis_client(url: str) -> redis.Redis:
    """A connection of the check's own, so that it neither waits for the publishers' pool nor disturbs it."""
    if url.startswith("redis+socket://"):
        # Kombu's spelling of what redis-py knows by other names.
        url = url.replace("redis+socket", "unix", 1).replace("virtual_host=", "db=")
    # Not tried again, which would cost a second time-out: a connection that Redis has closed, the pool replaces itself.
    retry = Retry(NoBackoff(), 0)
    timeouts = {"socket_timeout": BROKER_TIMEOUT, "socket_connect_timeout": BROKER_TIMEOUT}
    # More threads than connections wait for one: with the plain pool they would take the broker for away.
    pool = redis.BlockingConnectionPool.from_url(
        url, max_connections=4, timeout=BROKER_TIMEOUT, retry=retry, **timeouts
    )
    return redis.Redis(connection_pool=pool)
