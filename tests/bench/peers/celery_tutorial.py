"""Celery as its first steps with Django have it: its defaults, with Redis for a broker."""

import os

import django
from celery import Celery

django.setup()

from tests.bench.peers import mail  # noqa: E402

app = Celery("tutorial", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ["CELERY_RESULT_BACKEND"])


@app.task
def nothing(user_id: int, login_url: str) -> None:
    pass


@app.task
def welcome(user_id: int, login_url: str) -> None:
    mail.send_welcome(user_id, login_url)


send_nothing, send_welcome = nothing.delay, welcome.delay
