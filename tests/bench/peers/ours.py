"""This service's own: its durable mail, and a plain task, which it has none of that does nothing."""

import django
from celery import shared_task
from django.db import transaction

django.setup()

from core.tasks import send_welcome_email  # noqa: E402


@shared_task(ignore_result=True)
def nothing(user_id: int, login_url: str) -> None:
    pass


send_nothing, send_welcome = nothing.delay, send_welcome_email.delay
# Each a transaction of its own.
send_welcome_alone = send_welcome
# To fill a queue quickly: the commits are not what is measured then.
batch = transaction.atomic
