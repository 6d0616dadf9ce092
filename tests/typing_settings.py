"""Settings for mypy's Django plugin, which needs them without an environment."""

import os

os.environ |= {"DEBUG": "true", "ENV_FILE": os.devnull, "LOG_STRATEGY": "console"}

from config.settings import *  # noqa: F403
