import os

import django
import dramatiq
from dramatiq.brokers.redis import RedisBroker

django.setup()

from tests.bench.peers import mail  # noqa: E402

dramatiq.set_broker(RedisBroker(url=os.environ["CELERY_BROKER_URL"]))


@dramatiq.actor
def nothing(user_id: int, login_url: str) -> None:
    pass


@dramatiq.actor
def welcome(user_id: int, login_url: str) -> None:
    mail.send_welcome(user_id, login_url)


send_nothing, send_welcome = nothing.send, welcome.send
