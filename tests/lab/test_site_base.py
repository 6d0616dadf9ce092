"""What every machine of the site has: SSH with keys only, security updates, a kernel that takes no orders."""

import pytest

from lab import machine
from lab.labs import FIRST_MACHINE, Lab
from lab.shell import LabError, attempt
from tests.lab.hosts import do
from tests.lab.site import deploy

pytestmark = pytest.mark.usefixtures("first_run")


def test_ssh_offers_nothing_but_keys(lab: Lab) -> None:
    command = machine.ssh(lab, lab.address(FIRST_MACHINE), "true")
    without = ["-o", "PubkeyAuthentication=no", "-o", "ControlPath=none"]

    refused = attempt([*command[:-2], *without, *command[-2:]]).stderr

    assert "Permission denied (publickey)." in refused


@pytest.mark.parametrize(
    ("name", "rule", "sentence"),
    [
        ("00-a.conf", "PasswordAuthentication yes", "root: passwordauthentication yes"),
        ("99-z.conf", "Match User admin\n  PasswordAuthentication yes", "admin: passwordauthentication yes"),
    ],
)
def test_what_undoes_that_is_told(lab: Lab, name: str, rule: str, sentence: str) -> None:
    file = f"/etc/ssh/sshd_config.d/{name}"
    do(lab, f"printf '{rule}\n' >{file}")
    try:
        with pytest.raises(LabError) as caught:
            deploy(lab, "base")
    finally:
        do(lab, f"rm {file}; systemctl reload ssh")

    assert sentence in " ".join(str(caught.value).split())


def test_root_cannot_log_in_even_with_a_key(lab: Lab) -> None:
    do(lab, "mkdir -p /root/.ssh && cp /home/admin/.ssh/authorized_keys /root/.ssh/ && chown -R root: /root/.ssh")
    command = machine.ssh(lab, lab.address(FIRST_MACHINE), "true")

    refused = attempt([*command[:-2], command[-2].replace("admin@", "root@"), "true"])

    assert "Permission denied" in refused.stderr
    assert attempt(command).returncode == 0


def test_security_updates_come_by_themselves(lab: Lab) -> None:
    tried = do(lab, "unattended-upgrade --dry-run --debug")

    assert "label=Debian-Security" in tried.partition("Allowed origins are:")[2].splitlines()[0]
    assert do(lab, "apt-config shell on APT::Periodic::Unattended-Upgrade").strip() == "on='1'"
    assert do(lab, "systemctl is-enabled apt-daily-upgrade.timer").strip() == "enabled"


def test_nobody_may_redirect_its_packets(lab: Lab) -> None:
    names = "net.ipv4.conf.all.accept_redirects net.ipv4.conf.all.send_redirects net.ipv4.conf.all.accept_source_route"

    assert do(lab, f"sysctl --values {names}").split() == ["0", "0", "0"]


def test_the_service_user_has_no_shell(lab: Lab) -> None:
    assert do(lab, "getent passwd saas").strip().endswith(":/usr/sbin/nologin")
