import os

import django
from huey import RedisHuey

django.setup()

from tests.bench.peers import mail  # noqa: E402

huey = RedisHuey("bench", url=os.environ["CELERY_BROKER_URL"])


@huey.task()
def nothing(user_id: int, login_url: str) -> None:
    pass


@huey.task()
def welcome(user_id: int, login_url: str) -> None:
    mail.send_welcome(user_id, login_url)


send_nothing, send_welcome = nothing, welcome
