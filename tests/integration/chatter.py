"""A task that says more than is written at once. A worker of the tests includes this module."""

import logging

from celery import shared_task

LINES = 20_000


@shared_task(ignore_result=True)
def chatter(name: str) -> None:
    for number in range(LINES):
        logging.getLogger("core").info("%s %s", name, number)
