"""Prints the milliseconds that `.delay()` takes, once for every line it reads. Run by test_broker_away."""

import sys
import time

import django

django.setup()

from core.tasks import send_welcome_email  # noqa: E402


def publish() -> str:
    start = time.perf_counter()
    try:
        send_welcome_email.delay(user_id=0, login_url="https://example.org/")
    except Exception as error:
        result = type(error).__name__
    else:
        result = "ok"
    return f"{(time.perf_counter() - start) * 1000:.1f} {result}"


for _line in sys.stdin:
    print(publish(), flush=True)
