"""What site.yml says to hosts that do not go together, and what a run for some of them asks of the others."""

import os
from pathlib import Path

import pytest

from tests.deploy.test_preflight import GOOD, GROUPS, HOST, inventory, run


def test_it_tells_a_host_that_is_in_no_group(tmp_path: Path) -> None:
    """As one is whose group is misspelt."""
    code, output = run(tmp_path, inventory(GOOD, GROUPS) + "[workers]\nother ansible_host=127.0.0.1 ansible_port=1\n")

    assert code == 2
    assert "other is in none of the groups database" in output


@pytest.mark.parametrize("group", ["database", "redis", "scheduler", "monitor"])
def test_it_refuses_two_of_what_there_is_one_of(tmp_path: Path, group: str) -> None:
    code, output = run(tmp_path, inventory(GOOD, GROUPS) + f"[{group}]\nother ansible_host=127.0.0.1 ansible_port=1\n")

    assert code == 2
    assert f"More than one host is in {group}." in output


@pytest.mark.parametrize(
    ("addresses", "sentence"),
    [
        (("10.0.0.1", ""), "private_address is not set for other."),
        (("10.0.0.1", "10.0.0.1"), "Two hosts have the same private_address"),
        (("10.0.0.1", "other.internal"), 'private_address is "other.internal"; it has to be an IPv4 address.'),
    ],
)
def test_hosts_of_a_cluster_need_an_address_each(tmp_path: Path, addresses: tuple[str, str], sentence: str) -> None:
    first, other = (f" private_address={address}" if address else "" for address in addresses)

    code, output = run(
        tmp_path, inventory(GOOD, GROUPS, HOST + first) + f"[web]\nother ansible_host=127.0.0.1 ansible_port=1{other}\n"
    )

    assert code == 2
    assert sentence in output


@pytest.mark.parametrize(
    ("instances", "idle"),
    [
        ("[]", "celery, email, dead_letter"),
        ("[{'name': 'a', 'queues': ['email'], 'concurrency': 1}]", "celery, dead_letter"),
        # The application adds dead_letter to it.
        ("[{'name': 'a', 'queues': ['celery'], 'concurrency': 1}]", "email"),
    ],
)
def test_it_tells_a_queue_that_no_worker_consumes(tmp_path: Path, instances: str, idle: str) -> None:
    code, output = run(tmp_path, inventory(GOOD | {"celery_worker_instances": instances}, GROUPS))

    assert code == 2
    assert f"No worker consumes {idle}, and what is sent there would wait for ever." in output


@pytest.mark.parametrize("instances", ["['email']", "[{'name': 'a', 'concurrency': 1}]"])
def test_what_an_entry_without_queues_consumes_is_not_guessed(tmp_path: Path, instances: str) -> None:
    code, output = run(tmp_path, inventory(GOOD | {"celery_worker_instances": instances}, GROUPS))

    assert code == 2
    assert "celery_worker_instances" in output
    assert "No worker consumes" not in output


OTHER = "other ansible_host=127.0.0.1 ansible_port=1"


def test_a_queue_may_be_consumed_on_another_host(tmp_path: Path) -> None:
    _, output = run(tmp_path, inventory(GOOD, GROUPS, f"{HOST} celery_worker_instances=[]") + f"[worker]\n{OTHER}\n")

    assert "vm cannot be reached over SSH" in output
    assert "No worker consumes" not in output


CROWD = "[{'name': 'celery', 'queues': ['celery', 'email'], 'concurrency': 97}]"


def test_it_counts_the_connections_to_the_database(tmp_path: Path) -> None:
    """Of two hosts, twice as in a deploy: 2 x 2 x 13 x 4 of the web, 2 x 2 x (97 + 1) + 5 of workers, and 8 more."""
    values = GOOD | {"gunicorn_workers": "13", "celery_worker_instances": CROWD, "postgresql_max_connections": "604"}

    code, output = run(tmp_path, inventory(values, GROUPS) + f"[web]\n{OTHER}\n[worker]\nother\n")

    assert code == 2
    assert "The web hosts may need 208 connections to PostgreSQL" in output
    assert "postgresql_web_connections allows 200." in output
    assert "The workers may need 397 connections to PostgreSQL" in output
    assert "postgresql_worker_connections allows 200." in output
    assert "Web and workers may need 613 connections to PostgreSQL" in output
    assert "postgresql_max_connections allows 604." in output


def test_it_takes_as_many_as_there_are(tmp_path: Path) -> None:
    """The same on one host, with no limit for the workers."""
    values = {"gunicorn_workers": "25", "celery_worker_instances": CROWD, "postgresql_worker_connections": "-1"}

    _, output = run(tmp_path, inventory(GOOD | values | {"postgresql_max_connections": "409"}, GROUPS))

    assert "vm cannot be reached over SSH" in output
    assert "connections to PostgreSQL" not in output


def test_a_run_for_one_host_checks_what_is_set_for_the_others(tmp_path: Path) -> None:
    """It writes their firewalls, too."""
    wrong = """ firewall_ssh_ports=[99999] postgresql_max_connections=many app_settings="{'DRAIN_SECONDS': 'soon'}" """
    wrong += """more_services="[{'name': 'a', 'ports': [9100], 'servers': ['nobody']}]" """

    code, output = run(tmp_path, inventory(GOOD, GROUPS) + f"[worker]\n{OTHER}{wrong}\n", "--limit", "vm")

    assert code == 2
    assert 'What is set for other does not have the form that it needs: firewall_ssh_ports is "99999"' in output
    assert "other: argument 'postgresql_max_connections'" in output
    assert "DRAIN_SECONDS must be a whole number" in output
    assert "more_services names nobody;" in output
    assert "vm cannot be reached over SSH" in output
    assert "other cannot be reached" not in output


def test_a_run_for_one_host_makes_no_new_secrets(tmp_path: Path) -> None:
    text = inventory(GOOD, GROUPS) + f"[worker]\n{OTHER}\n"
    file = Path(f"{tmp_path}.secrets.yml")
    sentence = f"There is no file of the site's secrets, {file}, and new ones would not reach the hosts"

    assert sentence not in run(tmp_path, text)[1]
    assert sentence in run(tmp_path, text, "--limit", "vm")[1]
    file.touch()
    assert sentence not in run(tmp_path, text, "--limit", "vm")[1]


# This computer in a host's place, as who runs the tests: an address that is none keeps the run from going on.
HERE = "vm ansible_connection=local ansible_become=false"
STOPPED = {"site_admin_email": "nobody"}


def pretend(path: Path, monkeypatch: pytest.MonkeyPatch, program: str, answer: str) -> None:
    """Have a program of the host say this."""
    script = path / "bin" / program
    script.parent.mkdir(exist_ok=True)
    script.write_text(f"#!/bin/sh\necho '{answer}'\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)


@pytest.mark.parametrize(("address", "told"), [("2001:db8::1", True), ("127.0.1.1", True), ("192.0.2.1", False)])
def test_an_authority_has_to_find_the_web_host_over_ipv4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, told: bool
) -> None:
    pretend(tmp_path, monkeypatch, "getent", f"{address} STREAM app.example.org")

    code, output = run(tmp_path, inventory(GOOD | STOPPED | {"site_tls": "acme"}, GROUPS, HERE))

    assert code == 2
    assert 'site_admin_email is "nobody"' in output
    assert (f"site_domain is app.example.org, for which vm finds only {address}: the authority" in output) == told


@pytest.mark.parametrize(("checksums", "told"), [("off", True), ("on", False)])
def test_it_tells_data_that_is_written_without_checksums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checksums: str, told: bool
) -> None:
    pretend(tmp_path, monkeypatch, "runuser", checksums)

    code, output = run(tmp_path, inventory(GOOD | STOPPED, GROUPS, HERE))

    assert code == 2
    assert 'site_admin_email is "nobody"' in output
    assert ("PostgreSQL on vm was there before and writes its data without checksums" in output) == told
