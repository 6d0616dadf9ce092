"""The Vagrantfile says what docs/vagrant.md says, by Vagrant's own reading of it."""

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import mail, paths, snapshot

HERE = Path(__file__).parent
PROVISIONING = ["deploy/ansible/site.yml", "deploy/vagrant/local.yml", "deploy/ansible/deploy.yml"]
CLUSTER = ["web1", "web2", "worker1", "worker2", "db1", "redis1", "control"]


def run(*argv: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SAAS_", "VAGRANT_"))}
    # Ruby reads the Vagrantfile in the locale's encoding.
    env = {**clean, "LC_ALL": "C.UTF-8", **variables}
    return subprocess.run(argv, cwd=paths.ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(autouse=True, scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No Vagrantfile, box or plugin of the person who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@functools.cache
def machines(provider: str = "virtualbox", **variables: str) -> dict[str, Any]:
    done = run("ruby", str(HERE / "machines.rb"), str(paths.ROOT), provider, **variables)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def single() -> dict[str, Any]:
    return machines(SAAS_CLUSTER="")


def cluster_of_seven() -> dict[str, Any]:
    return machines(SAAS_CLUSTER="1")


def steps(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for machine in found.values() for step in machine["provisioners"]]


def forwarded(machine: dict[str, Any]) -> list[tuple[int, int, str]]:
    ports = [
        network for network in machine["networks"] if network["kind"] == "forwarded_port" and network["guest"] != 22
    ]
    return [(port["guest"], port["host"], port["host_ip"]) for port in ports]


def address(machine: dict[str, Any]) -> list[str]:
    return [network["ip"] for network in machine["networks"] if network["kind"] == "private_network"]


def inventory(found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What Ansible reads out of what Vagrant will write."""
    file = folder / "inventory"
    file.write_text("\n".join(found) + "\n" + steps(found)[0]["inventory"])
    done = run(str(paths.BIN / "ansible-inventory"), "--inventory", str(file), "--list")
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


@pytest.mark.parametrize("cluster", ["", "1"])
def test_vagrant_takes_it_for_valid(cluster: str) -> None:
    done = run("vagrant", "validate", "--ignore-provider", SAAS_CLUSTER=cluster)

    assert done.returncode == 0, done.stdout + done.stderr


def test_it_makes_one_machine_with_the_site_and_the_inbox() -> None:
    found = single()

    assert list(found) == ["saas"]
    assert address(found["saas"]) == ["192.168.56.10"]
    assert forwarded(found["saas"]) == [(8443, 8443, "127.0.0.1"), (1080, 1080, "127.0.0.1")]
    assert found["saas"]["folders"] == []


def test_it_makes_a_cluster_when_asked_to() -> None:
    found = cluster_of_seven()

    assert list(found) == CLUSTER
    assert [address(machine) for machine in found.values()] == [[f"192.168.56.{last}"] for last in range(11, 18)]
    assert forwarded(found["web1"]) == [(8443, 8443, "127.0.0.1")]
    assert forwarded(found["control"]) == [(1080, 1080, "127.0.0.1")]


@pytest.mark.parametrize(
    ("provider", "box"),
    [
        ("virtualbox", "debian/bookworm64"),
        ("libvirt", "debian/bookworm64"),
        ("vmware_desktop", "bento/debian-12"),
        ("parallels", "bento/debian-12"),
    ],
)
def test_providers_differ_in_their_box(provider: str, box: str) -> None:
    found = machines(provider, SAAS_CLUSTER="")["saas"]

    assert found["box"] == box
    assert found["networks"] == single()["saas"]["networks"]


def test_a_box_of_ones_own_is_used_everywhere() -> None:
    assert {machines(provider, SAAS_BOX="mine")["saas"]["box"] for provider in ("virtualbox", "parallels")} == {"mine"}


@pytest.mark.parametrize(("cluster", "usual"), [("", ["2048", "2"]), ("1", ["1024", "1"])])
def test_memory_and_cores_are_adjustable(cluster: str, usual: list[str]) -> None:
    ours = machines(SAAS_CLUSTER=cluster)
    own = machines(SAAS_CLUSTER=cluster, SAAS_MEMORY="1536", SAAS_CPUS="3")

    assert [machine["hardware"] for machine in ours.values()] == [usual] * len(ours)
    assert [machine["hardware"] for machine in own.values()] == [["1536", "3"]] * len(own)


def test_the_network_is_adjustable(tmp_path: Path) -> None:
    found = machines(SAAS_NETWORK="10.9.8")

    assert address(found["saas"]) == ["10.9.8.10"]
    assert inventory(found, tmp_path)["_meta"]["hostvars"]["saas"]["site_domain"] == "10.9.8.10"


@pytest.mark.parametrize("cluster", ["", "1"])
def test_ansible_runs_once_for_all_when_the_last_machine_is_there(cluster: str) -> None:
    found = machines(SAAS_CLUSTER=cluster)

    assert [step["playbook"] for step in list(found.values())[-1]["provisioners"]] == PROVISIONING
    assert [step["playbook"] for step in steps(found)] == PROVISIONING
    assert {step["limit"] for step in steps(found)} == {"all,localhost"}
    assert {step["command"] for step in steps(found)} == {str(paths.ROOT / "deploy/vagrant/ansible-playbook")}


def test_ansible_is_given_options() -> None:
    assert {tuple(step["options"]) for step in steps(single())} == {()}
    assert {tuple(step["options"]) for step in steps(machines(SAAS_ANSIBLE="--tags 'a b'"))} == {("--tags", "a b")}


@pytest.mark.parametrize(("cluster", "lab"), [("", "lab"), ("1", "lab-cluster")])
def test_the_groups_are_the_labs(cluster: str, lab: str, tmp_path: Path) -> None:
    read = inventory(machines(SAAS_CLUSTER=cluster), tmp_path)
    groups = yaml.safe_load((paths.INVENTORIES / lab / "hosts.yml").read_text())["all"]["children"]

    assert {name: read[name]["hosts"] for name in groups} == {name: [*group["hosts"]] for name, group in groups.items()}


@pytest.mark.parametrize(("cluster", "lab", "site", "inbox"), [("", "lab", 10, 10), ("1", "lab-cluster", 11, 17)])
def test_the_settings_are_the_labs_with_addresses_for_names(
    cluster: str, lab: str, site: int, inbox: int, tmp_path: Path
) -> None:
    found = machines(SAAS_CLUSTER=cluster)
    seen = inventory(found, tmp_path)["_meta"]["hostvars"][next(iter(found))]
    settings = yaml.safe_load((paths.INVENTORIES / lab / "group_vars/all.yml").read_text())

    assert seen["site_domain"] == f"192.168.56.{site}"
    assert seen["lab_mail_address"] == f"192.168.56.{inbox}"
    assert {name: seen[name] for name in settings if name != "site_domain"} == {
        name: value for name, value in settings.items() if name != "site_domain"
    }


def test_the_firewall_lets_in_what_only_vagrant_brings(tmp_path: Path) -> None:
    seen = inventory(cluster_of_seven(), tmp_path)["_meta"]["hostvars"]["worker1"]

    assert [(service["ports"], service["servers"]) for service in seen["more_services"]] == [
        ([1080], ["control"]),
        ([1025], ["control"]),
        ([8443], ["web1"]),
    ]


def test_the_machines_of_a_cluster_know_each_others_addresses() -> None:
    known = {
        name: variables["private_address"] for name, variables in steps(cluster_of_seven())[0]["host_vars"].items()
    }

    assert list(known) == CLUSTER
    assert known["db1"] == "192.168.56.15"
    # One machine alone is reached on loopback.
    assert steps(single())[0]["host_vars"] == {}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SAAS_MEMORY", "2G", "SAAS_MEMORY is a whole number, not “2G”"),
        ("SAAS_CPUS", "0", "SAAS_CPUS is a whole number, not “0”"),
        ("SAAS_CLUSTER", "false", "SAAS_CLUSTER is 1 or 0, not “false”"),
        ("SAAS_ANSIBLE", "--tags 'a", "SAAS_ANSIBLE is options as a shell takes them"),
        ("SAAS_NETWORK", "192.168.56.", "SAAS_NETWORK is the first three numbers of the machines' addresses"),
        ("SAAS_NETWORK", "192.168.256", "SAAS_NETWORK is the first three numbers of the machines' addresses"),
    ],
)
def test_it_refuses_what_makes_no_sense(name: str, value: str, sentence: str) -> None:
    done = run("vagrant", "validate", "--ignore-provider", **{name: value})

    assert done.returncode != 0
    assert sentence in done.stderr


@pytest.mark.parametrize("command", [["up"], ["provision"], ["reload", "--provision"]])
def test_it_says_at_once_when_ansible_is_missing(command: list[str], tmp_path: Path) -> None:
    shutil.copy(paths.ROOT / "Vagrantfile", tmp_path)
    shutil.copytree(paths.INVENTORIES, tmp_path / "deploy/ansible/inventories")

    done = run("vagrant", *command, VAGRANT_CWD=str(tmp_path))

    assert done.returncode != 0
    assert "Ansible is not in .venv: run make setup first." in done.stderr
    assert run("vagrant", "validate", "--ignore-provider", VAGRANT_CWD=str(tmp_path)).returncode == 0


def test_it_deploys_the_working_tree(tmp_path: Path) -> None:
    playbook = tmp_path / "told.yml"
    told = {"release": "{{ release }}", "first": "{{ app_release_ref }}", "inbox": "{{ inbox_package }}"}
    copy = {"ansible.builtin.copy": {"dest": str(tmp_path / "told.json"), "content": "{{ told | to_json }}"}}
    playbook.write_text(
        json.dumps([{"hosts": "localhost", "gather_facts": False, "vars": {"told": told}, "tasks": [copy]}])
    )

    done = run(str(paths.ROOT / "deploy/vagrant/ansible-playbook"), str(playbook))

    assert done.returncode == 0, done.stdout + done.stderr
    tree = snapshot.take(paths.ROOT)
    assert json.loads((tmp_path / "told.json").read_text()) == {
        "release": tree,
        "first": tree,
        "inbox": str(mail.installed()),
    }
