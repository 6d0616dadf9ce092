"""The site, but that a registration queues no mail: Gunicorn's application for the contest about registrations."""

from typing import Any

# Importing it loads Django, which views need.
from config.wsgi import application

from accounts import views  # isort: skip

__all__ = ["application"]


def queue_nothing(self: views.RegisterView, user: Any) -> None:
    pass


views.RegisterView.send_welcome = queue_nothing  # type: ignore[method-assign]
