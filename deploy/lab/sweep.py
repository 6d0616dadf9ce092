"""Remove labs, and remains of labs; those of `make up` only when told to."""

import json
import shutil
from typing import Any

from lab import inventory, owner, paths, scratch
from lab.labs import Lab
from lab.podman import podman, remove


def leftovers() -> None:
    """Test labs, of any clone, whose process is dead, and half-done things of this clone."""
    remove(*(name for name, labels in containers() if is_orphan(labels)))
    remove_networks(*(name for name, labels in networks() if is_orphan(labels)))
    for folder in (*paths.LAB_DIR.glob("test-*"), *paths.LAB_DIR.glob("cluster-*")):
        if not owner.alive(folder.name.partition("-")[2]):
            shutil.rmtree(folder)
    scratch.sweep()


def is_orphan(labels: dict[str, str]) -> bool:
    return labels.get("saas-lab") == "test" and not owner.alive(labels.get("saas-lab.owner", ""))


def remove_lab(lab: Lab) -> None:
    """All of it; no error when there is none, or only half."""
    remove(*(name for name, _ in containers() if name.startswith(f"{lab.network}-")))
    remove_networks(*(name for name, _ in networks() if name in lab.networks))
    inventory.remove(lab)
    shutil.rmtree(lab.directory, ignore_errors=True)


def remove_networks(*names: str) -> None:
    for name in names:
        podman("network", "rm", "--force", "--time", "0", name)


def containers() -> list[tuple[str, dict[str, str]]]:
    return [(entry["Names"][0], entry["Labels"] or {}) for entry in listing("ps", "--all")]


def states() -> list[tuple[str, str]]:
    return [(entry["Names"][0], entry["Status"] or entry["State"]) for entry in listing("ps", "--all")]


def networks() -> list[tuple[str, dict[str, str]]]:
    return [(entry["name"], entry.get("labels") or {}) for entry in listing("network", "ls")]


def listing(*command: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(
        podman(*command, "--filter", "label=saas-lab", "--format", "json") or "[]"
    )
    return entries
