from typing import Any

from accounts.models import User

PASSWORD = "correct horse 7"


def user(username: str = "bo", **fields: Any) -> User:
    """An account whose password is PASSWORD."""
    return User.objects.create_user(username, **{"email": f"{username}@example.org", "password": PASSWORD, **fields})
