"""`python -m lab.vagrant …` is ansible-playbook with the working tree as the release and the lab's inbox at hand."""

import json
import os
import sys

from lab import console, mail, paths, snapshot
from lab.shell import LabError


def main() -> None:
    try:
        release = snapshot.take(paths.ROOT)
        mail.install()
    except LabError as error:
        console.fail(str(error))
        sys.exit(1)
    variables = {"app_release_ref": release, "release": release, "inbox_package": str(mail.installed())}
    playbook = str(paths.BIN / "ansible-playbook")
    os.execv(playbook, [playbook, "--extra-vars", json.dumps(variables), *sys.argv[1:]])  # noqa: S606 - it takes over the terminal


if __name__ == "__main__":
    main()
