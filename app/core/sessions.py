"""Django's sessions in the database; SESSION_ENGINE names this module."""

from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils.timezone import now


class SessionStore(db.SessionStore):
    def _validate_session_key(self, key: Any) -> bool:
        # A cookie may carry anything, and PostgreSQL fails at some of it, a NUL for one.
        return bool(super()._validate_session_key(key)) and key.isascii() and key.isalnum()  # type: ignore[misc]


def delete_expired() -> int:
    deleted, _ = Session.objects.filter(expire_date__lt=now()).delete()
    return deleted
