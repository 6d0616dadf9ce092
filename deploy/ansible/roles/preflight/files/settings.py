"""Says, a sentence a line, what the application in a folder would refuse of the settings that come as JSON."""

import json
import os
import re
import sys
import tempfile
from importlib import import_module

# What the playbook sets itself, and judges itself: here it only has to be there.
OTHERS = {
    "ENV_FILE": os.devnull,
    "SECRET_KEY": "signs nothing",
    "ALLOWED_HOSTS": "localhost",
    "SITE_URL": "https://localhost",
    "DATABASE_URL": "postgres://localhost/saas",
    "EMAIL_URL": "smtp://localhost",
    "DEFAULT_FROM_EMAIL": "saas@localhost.localdomain",
    # It would be made in the operator's clone.
    "LOGS_DIR": tempfile.gettempdir(),
}


def main() -> None:
    asked = {name: str(value) for name, value in json.load(sys.stdin).items()}
    os.environ.clear()
    os.environ.update(OTHERS | asked)
    sys.path.insert(0, sys.argv[1])
    refused = import_module("config.env").WrongSetting
    while True:
        try:
            import_module("config.settings")
        except refused as error:
            print(error)
            # It stops at the first: without the variable that the sentence names it tells the next.
            named = [name for name in re.findall(r"[A-Z_]+", str(error)) if name in asked.keys() & os.environ.keys()]
            if not named:
                return
            del os.environ[named[0]]
        else:
            return


main()
