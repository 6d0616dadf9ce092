"""Settings as somebody might change them: processes would rotate one file between them."""

import os

from config.settings import *  # noqa: F403
from config.settings import LOGGING, LOGS_DIR

LOGGING["handlers"]["shared"] = {
    "class": f"logging.handlers.{os.environ['ROTATING']}",
    "filename": str(LOGS_DIR / "shared.log"),
}
LOGGING["loggers"]["core"]["handlers"] = ["shared"]
