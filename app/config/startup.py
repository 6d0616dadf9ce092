from django.conf import settings

from config.env import WrongSetting
from config.logging import refuse_shared_rotation
from core.checks import celery_names_without_effect


def load_settings() -> None:
    """Load and check them all; every program does this first.

    Raises ImproperlyConfigured, for which Django and Celery would show a traceback, or nothing until a command fails.
    """
    for name in celery_names_without_effect():
        raise WrongSetting(f"The setting {name} has no effect: there is none of that name.")
    refuse_shared_rotation(settings.LOGGING)
