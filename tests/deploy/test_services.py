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


RULES = """
- hosts: worker3
  gather_facts: false
  connection: local
  vars_files: [{role}/vars/main.yml]
  vars: {{ firewall_ssh_ports: [22], __firewall_sshd: {{ stdout_lines: [] }}, __firewall_entrance: {{ stdout: "" }} }}
  tasks:
    - ansible.builtin.template:
        src: "{role}/templates/etc/saas/firewall.nft.j2"
        dest: "{folder}/{{{{ firewall_host }}}}.nft"
      loop: "{{{{ __firewall_hosts }}}}"
      loop_control: {{ loop_var: firewall_host }}
"""


def test_a_run_for_a_new_host_writes_others_rules_from_what_is_set_for_them(tmp_path: Path) -> None:
    """Of db1 alone the inventory says that it lets in more, in one case the new host."""
    more: list[dict[str, Any]] = [{"name": "Metrics", "ports": [9100], "servers": ["db1"]}]
    more += [{"name": "Copies", "ports": [9101], "servers": ["db1"], "clients": ["worker3"]}]
    hosts: dict[str, dict[str, Any]] = {
        name: {"private_address": f"10.0.0.{number}"} for number, name in enumerate(("db1", "worker3", "vm"), 1)
    }
    hosts["db1"] |= {"more_services": more}
    groups = {group: {"hosts": {"worker3" if group == "worker" else "vm": None}} for group in GROUPS}
    (tmp_path / "group_vars").symlink_to(paths.ANSIBLE / "group_vars")
    inventory, playbook = tmp_path / "hosts.yml", tmp_path / "rules.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts, "children": groups}}))
    playbook.write_text(RULES.format(role=paths.ANSIBLE / "roles/firewall", folder=tmp_path))

    argv = [str(paths.BIN / "ansible-playbook"), "--inventory", str(inventory), str(playbook)]
    done = subprocess.run(argv, cwd=paths.ANSIBLE, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    written = {host: (tmp_path / f"{host}.nft").read_text() for host in ("db1", "worker3", "vm")}
    assert 'tcp dport { 9100 } accept comment "Metrics"' in written["db1"]
    assert 'ip saddr { 10.0.0.2 } tcp dport { 9101 } accept comment "Copies"' in written["db1"]
    assert "910" not in written["worker3"] + written["vm"]


@pytest.mark.parametrize("more", [[], [MORE]])
def test_an_inventory_may_let_in_more(more: list[dict[str, Any]], tmp_path: Path) -> None:
    ours = services(tmp_path)

    assert [service["name"] for service in ours] == ["nginx", "PostgreSQL", "Redis", "Flower"]
    assert services(tmp_path, **({"more_services": more} if more else {})) == ours + more
