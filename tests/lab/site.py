"""The site of a lab from outside, and what its machine's journal holds of it."""

import json
import ssl
from http.client import HTTPResponse, HTTPSConnection
from typing import Any

import requests

from lab import machine, paths, playbook, proof, snapshot
from lab.labs import Lab


def sh(lab: Lab, script: str) -> str:
    return machine.execute(lab, "saas", "sh", "-c", script)


def entries(lab: Lab, match: str) -> list[dict[str, Any]]:
    text = sh(lab, f"journalctl --sync; journalctl {match} --output json --all --no-pager")
    return [json.loads(line) for line in text.splitlines()]


def deploy(
    lab: Lab, tags: str = "logging,app,celery_worker,celery_beat,flower,gunicorn,nginx", **variables: Any
) -> None:
    """Run those roles again, with what an inventory would set."""
    release = snapshot.take(paths.ROOT)
    playbook.run(lab, "site.yml", lab.directory / "site.log", f"--tags={tags}", app_release_ref=release, **variables)


def get(lab: Lab, path: str) -> requests.Response:
    return proof.visit(lab).browser.get(path)


def ask(lab: Lab, path: str, host: str = "", **headers: str) -> HTTPResponse:
    """Send the path as it is spelt, which a browser would put in order."""
    address = lab.address_of(host or lab.machines[0])
    # The lab's certificate is signed by nobody.
    connection = HTTPSConnection(address, timeout=30, context=ssl._create_unverified_context())  # noqa: S323
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    return answer
