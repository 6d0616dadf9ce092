"""`python -m tests.bench.parts COUNT` prints what building and sending a mail take, each by itself, in ms of CPU."""

import json
import sys
import time
from typing import Any

import django
from django.test import override_settings

django.setup()

from django.core.mail.backends.base import BaseEmailBackend  # noqa: E402 - Django is set up first

from accounts.models import User  # noqa: E402 - likewise
from core.email import send_templated_email  # noqa: E402 - likewise


class Builder(BaseEmailBackend):
    """Builds each mail as the one of production does, and sends none."""

    def send_messages(self, email_messages: Any) -> int:
        for message in email_messages:
            message.message().as_bytes(linesep="\r\n")
        return len(email_messages)


def taken(count: int) -> float:
    user = User(username="somebody", email="somebody@example.org")
    context = {"user": user, "login_url": "https://example.org/accounts/login/"}
    begun = time.process_time()
    for _ in range(count):
        send_templated_email("Welcome to Django SaaS", "emails/welcome_email", context, user.email)
    return (time.process_time() - begun) / count * 1000


if __name__ == "__main__":
    count = int(sys.argv[1])
    taken(100)
    both = taken(count)
    with override_settings(EMAIL_BACKEND=f"{Builder.__module__}.{Builder.__qualname__}"):
        building = taken(count)
    print(json.dumps({"building": building, "sending": both - building}))
