"""What site.yml says to a host that will not do, and that it leaves it as it was."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lab import machine, playbook
from lab.labs import Lab
from lab.shell import LabError
from tests.lab.hosts import do


def refusal(lab: Lab, *options: str, **variables: Any) -> str:
    with pytest.raises(LabError) as caught:
        playbook.run(lab, "site.yml", lab.directory / "refusal.log", *options, **variables)
    machine.execute(lab, "saas", "sh", "-c", "[ ! -e /etc/saas ] && [ ! -e /srv/saas ]")
    return " ".join(str(caught.value).split())


def typing(lab: Lab, user: str) -> dict[str, str]:
    """That user's password, and neither the lab's key nor a connection that is kept open."""
    arguments = shlex.join(machine.ssh_options(lab)).replace("BatchMode=yes", "BatchMode=no")
    alone = {"ansible_ssh_private_key_file": "/dev/null", "ansible_control_path": "none"}
    password = {"ansible_password": "open sesame", "ansible_become_password": "open sesame"}
    return {"ansible_user": user, "ansible_ssh_common_args": arguments, **password, **alone}


def test_it_refuses_a_distribution_it_was_not_proved_on(lab: Lab, debian: str) -> None:
    text = refusal(lab, preflight_distributions=["Debian 99"])

    assert f"saas runs Debian {debian}; this playbook is for Debian 99." in text


@contextmanager
def clock(lab: Lab, seconds: int) -> Iterator[None]:
    """The machine has this computer's; so what tells root the time tells another."""
    script = f"#!/bin/sh\necho $(($(/bin/date +%s) + {seconds}))\n"
    machine.execute(lab, "saas", "sh", "-c", "cat >/usr/local/bin/date; chmod +x /usr/local/bin/date", stdin=script)
    try:
        yield
    finally:
        machine.execute(lab, "saas", "rm", "/usr/local/bin/date")


def test_it_tells_everything_that_is_wrong_with_a_host_at_once(lab: Lab) -> None:
    """With the numbers that the machine has: one that was not read would be too small as well."""
    machine.execute(lab, "saas", "systemd-run", "--quiet", "--unit=taker", "python3", "-m", "http.server", "443")
    short = {"preflight_free_disk_mb": 10**9, "preflight_memory_mb": 10**8}
    free = int(do(lab, "df --output=avail --block-size=1M / | tail -n 1"))
    memory = int(do(lab, "awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo"))
    try:
        with clock(lab, -120):
            text = refusal(lab, site_tls="acme", site_domain="nowhere.saas.test", **short)
    finally:
        machine.execute(lab, "saas", "systemctl", "stop", "taker")

    told = re.search(r"saas has (\d+) MB free on /, /srv or /var; 1000000000 MB are needed\.", text)
    assert told
    assert abs(int(told[1]) - free) < 1000
    assert f"saas has {memory} MB of memory; 100000000 MB are needed." in text
    assert re.search(r"The clock of saas is -1[12]\d s ahead", text)
    assert "that the site needs (port=program): 443=python3. Stop and disable" in text
    assert "site_domain is nowhere.saas.test, for which saas finds no address" in text


def test_it_foresees_nothing_of_a_host_that_has_nothing_yet(lab: Lab) -> None:
    text = refusal(lab, "--check", "--diff")

    assert "saas has not been set up yet, and --check compares with what is there." in text
    assert not lab.secrets.exists()


def test_a_host_that_finds_itself_by_its_name_is_not_found_by_others(lab: Lab) -> None:
    do(lab, "cp /etc/hosts /root/hosts; echo 127.0.1.1 here.saas.test >>/etc/hosts")
    try:
        text = refusal(lab, site_tls="acme", site_domain="here.saas.test")
    finally:
        do(lab, "cat /root/hosts >/etc/hosts; rm /root/hosts")

    assert "site_domain is here.saas.test, for which saas finds only 127.0.1.1: the authority would not find" in text


def test_it_refuses_a_second_beat(lab: Lab) -> None:
    """One that was left behind when another host became the scheduler."""
    unit = "/etc/systemd/system/celery-beat.service"
    text = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
    machine.execute(lab, "saas", "sh", "-c", f"cat >{unit}; systemctl --quiet enable celery-beat", stdin=text)
    groups = {name: ["saas"] for name in ("all", "database", "redis", "web", "worker", "monitor")}
    try:
        told = refusal(lab, preflight_groups=groups)
    finally:
        machine.execute(lab, "saas", "sh", "-c", f"systemctl --quiet disable celery-beat; rm {unit}")

    assert "saas runs Beat from an earlier run and is not in the group scheduler" in told


@pytest.mark.parametrize("file", ["saas.env", "firewall.nft"])
def test_it_takes_no_site_that_lacks_its_secrets_for_a_new_one(lab: Lab, file: str) -> None:
    do(lab, f"mkdir /etc/saas; touch /etc/saas/{file}")
    try:
        with pytest.raises(LabError) as caught:
            playbook.run(lab, "site.yml", lab.directory / "refusal.log")
    finally:
        do(lab, "rm -r /etc/saas")

    told = " ".join(str(caught.value).split())
    assert (
        f"saas belongs to a site that is there, and there is no file of its secrets: {lab.secrets}. Bring that back"
        in told
    )
    assert not lab.secrets.exists()


def test_it_refuses_an_address_that_the_host_does_not_have(lab: Lab) -> None:
    text = refusal(lab, private_address="192.0.2.9")

    assert "private_address of saas is 192.0.2.9, which that host does not have" in text


def test_clocks_may_differ_a_little_whatever_their_time_zone(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")

    with clock(lab, 20):
        text = refusal(lab, preflight_distributions=["Debian 99"])

    assert "saas runs Debian" in text
    assert "The clock of" not in text


def test_it_refuses_to_end_passwords_where_sshd_asks_for_one_besides_the_key(lab: Lab) -> None:
    rule = "printf 'Match User admin\n  AuthenticationMethods publickey publickey,password\n'"
    machine.execute(lab, "saas", "sh", "-c", f"{rule} >/etc/ssh/sshd_config.d/methods.conf")
    try:
        text = refusal(lab)
    finally:
        machine.execute(lab, "saas", "rm", "/etc/ssh/sshd_config.d/methods.conf")

    assert "sshd on saas asks admin for a password besides the key" in text


def test_it_refuses_to_lock_out_who_comes_with_a_password(lab: Lab) -> None:
    machine.execute(lab, "saas", "useradd", "--create-home", "--groups=sudo", "typist")
    machine.execute(lab, "saas", "chpasswd", stdin="typist:open sesame")

    for text in refusal(lab, **typing(lab, "typist")), refusal(lab, **typing(lab, "typist"), ssh_passwords=False):
        assert "saas was not reached with a key, as far as its journal tells" in text
        assert "open sesame" not in text


def test_it_refuses_to_lock_root_out(lab: Lab) -> None:
    machine.execute(lab, "saas", "cp", "-r", "/home/admin/.ssh", "/root/")
    machine.execute(lab, "saas", "chown", "-R", "root:", "/root/.ssh")

    text = refusal(lab, ansible_user="root")

    assert "saas is reached as root, whom this playbook would lock out." in text


def test_it_refuses_to_lock_out_root_who_comes_with_a_password(lab: Lab) -> None:
    machine.execute(lab, "saas", "chpasswd", stdin="root:open sesame")
    machine.execute(lab, "saas", "sh", "-c", "echo PermitRootLogin yes >/etc/ssh/sshd_config.d/root.conf")
    machine.execute(lab, "saas", "systemctl", "reload", "ssh")
    try:
        text = refusal(lab, **typing(lab, "root"), ssh_passwords=True, ssh_root=True)
    finally:
        machine.execute(lab, "saas", "rm", "/etc/ssh/sshd_config.d/root.conf")

    assert "saas was not reached with a key, as far as its journal tells, and root may log in with a key only." in text


def test_it_refuses_a_user_who_may_not_use_sudo(lab: Lab) -> None:
    machine.execute(lab, "saas", "useradd", "--create-home", "visitor")
    machine.execute(lab, "saas", "cp", "-r", "/home/admin/.ssh", "/home/visitor/")
    machine.execute(lab, "saas", "chown", "-R", "visitor:", "/home/visitor/.ssh")

    text = refusal(lab, ansible_user="visitor")

    assert "The SSH user of saas cannot become root:" in text
    assert "pass --ask-become-pass" in text
