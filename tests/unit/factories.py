from functools import cache
from typing import Any

from django.contrib.auth.hashers import make_password

from accounts.models import User

PASSWORD = "correct horse 7"


@cache
def hashed() -> str:
    # Once: hashing is slow on purpose.
    return make_password(PASSWORD)


def user(username: str = "bo", **fields: Any) -> User:
    """An account whose password is PASSWORD."""
    return User.objects.create(
        username=username, **{"email": f"{username}@example.org", "password": hashed(), **fields}
    )
