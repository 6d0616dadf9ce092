"""`python -m tests.bench.sweeping CALLS SWEEPS`: so many durable calls, then so many sweeps of a thousand that are due.

Prints the milliseconds that each took.
"""

import json
import sys
import time

import django

django.setup()

from config.celery import app  # noqa: E402
from core.durable.sweeper import BATCH, sweep  # noqa: E402
from core.tasks import send_welcome_email  # noqa: E402


def call() -> float:
    begun = time.perf_counter()
    send_welcome_email.delay(user_id=1, login_url="https://example.org/accounts/login/")
    return (time.perf_counter() - begun) * 1000


for _ in range(20):
    call()
calls = [call() for _ in range(int(sys.argv[1]))]
sweeps = []
for _ in range(int(sys.argv[2])):
    begun = time.perf_counter()
    assert sweep(app) == BATCH
    sweeps.append((time.perf_counter() - begun) * 1000)
print(json.dumps({"calls": calls, "sweeps": sweeps}))
