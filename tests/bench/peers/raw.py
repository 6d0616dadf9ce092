"""The least that an enqueue can be: one LPUSH of a message as long as ours."""

import os

from redis import Redis

client = Redis.from_url(os.environ["CELERY_BROKER_URL"])
MESSAGE = "x" * int(os.environ.get("MESSAGE_BYTES", "1000"))


def send_nothing(user_id: int, login_url: str) -> None:
    client.lpush("raw", MESSAGE)
