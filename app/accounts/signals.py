import logging
from typing import Any

from django.contrib.auth.signals import user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from core.limits import client_address

log = logging.getLogger(__name__)


@receiver(user_login_failed)
def log_failed_login(request: HttpRequest | None = None, **kwargs: Any) -> None:
    # Not the username: people type their password there.
    log.warning("Failed login from %s", client_address(request) if request else "a program")
