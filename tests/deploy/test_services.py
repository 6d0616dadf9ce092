"""What the hosts' firewalls let in is the site's services, and what an inventory adds."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import paths

GROUPS = ("database", "redis", "web", "worker", "scheduler", "monitor")
MORE = {"name": "Metrics", "ports": [9100], "servers": ["vm"]}


def services(folder: Path, **variables: Any) -> list[dict[str, Any]]:
    inventory = folder / "hosts.yml"
    groups = {group: {"hosts": {"vm": None}} for group in GROUPS}
    inventory.write_text(yaml.safe_dump({"all": {"vars": variables, "children": groups}}))
    argv = ["ansible", "--inventory", str(inventory), "--playbook-dir", str(paths.ANSIBLE), "vm"]
    done = subprocess.run(
        [str(paths.BIN / argv[0]), *argv[1:], "--module-name=ansible.builtin.debug", "--args=var=site_services"],
        cwd=folder,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, list[dict[str, Any]]] = json.loads(done.stdout.partition("=>")[2])
    return said["site_services"]


@pytest.mark.parametrize("more", [[], [MORE]])
def test_an_inventory_may_let_in_more(more: list[dict[str, Any]], tmp_path: Path) -> None:
    ours = services(tmp_path)

    assert [service["name"] for service in ours] == ["nginx", "PostgreSQL", "Redis", "Flower"]
    assert services(tmp_path, **({"more_services": more} if more else {})) == ours + more
