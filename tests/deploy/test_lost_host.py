"""Where site.yml stops when it loses a host half-way, with roles that do nothing in the place of its own."""

import json
from pathlib import Path

import pytest
import yaml

from tests.deploy.test_secrets import ANSIBLE, BIN, ansible

SITE = yaml.safe_load((ANSIBLE / "site.yml").read_text())
ROLES = [role["role"] for play in SITE for role in play.get("roles", [])]
GROUPS = {"database": "db", "redis": "broker", "web": "web", "worker": "worker", "scheduler": "web", "monitor": "web"}
INVENTORY = {"all": {"children": {name: {"hosts": {host: None}} for name, host in GROUPS.items()}}}
TASK = """
- ansible.builtin.file: { path: "{{ ran }}/{{ role_name }}", state: touch }
- ansible.builtin.fail: { msg: lost }
  when: [role_name == at, inventory_hostname == lost]
"""


def roles_begun(path: Path, lost: str, at: str) -> set[str]:
    for role in ROLES:
        (path / f"roles/{role}/tasks").mkdir(parents=True)
        (path / f"roles/{role}/tasks/main.yml").write_text(TASK)
    (path / "ran").mkdir()
    (path / "hosts.yml").write_text(yaml.safe_dump(INVENTORY))
    (path / "site.yml").write_text((ANSIBLE / "site.yml").read_text())
    (path / "tasks").symlink_to(ANSIBLE / "tasks")
    values = {"lost": lost, "at": at, "ran": str(path / "ran"), "ansible_connection": "local", "ansible_become": False}
    values |= {"ansible_python_interpreter": str(BIN / "python"), "__site_application": []}
    ansible("ansible-playbook", "-i", path / "hosts.yml", path / "site.yml", "-e", json.dumps(values))
    return {file.name for file in (path / "ran").iterdir()}


def test_it_goes_through_all_when_none_is_lost(tmp_path: Path) -> None:
    assert roles_begun(tmp_path, lost="nobody", at="") == set(ROLES)


@pytest.mark.parametrize(
    ("lost", "at"), [("db", "base"), ("db", "postgresql"), ("broker", "firewall"), ("broker", "redis")]
)
def test_no_client_is_changed_when_a_server_was_lost_before(tmp_path: Path, lost: str, at: str) -> None:
    """It would be given a new password that the server does not know yet."""
    begun = roles_begun(tmp_path, lost, at)

    assert at in begun
    assert begun & {"app", "celery_worker", "celery_beat", "flower", "gunicorn", "nginx"} == set()
