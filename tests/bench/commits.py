"""`python -m tests.bench.commits COUNT`: transactions that insert an account, every second one with its mail.

Prints milliseconds as lists: `without`, `with` up to and with the commit, and `publishing` behind it.
"""

import json
import sys
import time
import uuid
from typing import Any

import django

django.setup()

from django.db import transaction  # noqa: E402

from accounts.models import User  # noqa: E402
from core.durable import outbox  # noqa: E402
from core.tasks import send_welcome_email  # noqa: E402

publish = outbox.publish
published: list[float] = []


def timed_publish(*arguments: Any) -> None:
    begun = time.perf_counter()
    publish(*arguments)
    published.append((time.perf_counter() - begun) * 1000)


def write(mail: bool) -> float:
    name = uuid.uuid4().hex
    begun = time.perf_counter()
    with transaction.atomic():
        user = User.objects.create(username=name, email=f"{name}@example.org")
        if mail:
            send_welcome_email.delay(user_id=user.pk, login_url="https://example.org/accounts/login/")
    return (time.perf_counter() - begun) * 1000


outbox.publish = timed_publish  # type: ignore[assignment]
for _ in range(20):
    write(True)
published.clear()
found: dict[str, list[float]] = {"without": [], "with": [], "publishing": published}
for _ in range(int(sys.argv[1])):
    found["without"].append(write(False))
    taken = write(True)
    found["with"].append(taken - published[-1])
print(json.dumps(found))
