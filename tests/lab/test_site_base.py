"""What every machine of the site has: SSH with keys only, security updates, a kernel that takes no orders."""

import subprocess

import pytest

from lab import machine
from lab.labs import FIRST_MACHINE, Lab
from lab.shell import LabError, attempt
from tests.lab.faults import kept
from tests.lab.hosts import do
from tests.lab.site import deploy

pytestmark = pytest.mark.usefixtures("first_run")
SETTINGS = "/etc/ssh/sshd_config.d/00-saas.conf"
ROOTS_KEY = "mkdir -p /root/.ssh && cp /home/admin/.ssh/authorized_keys /root/.ssh/ && chown -R root: /root/.ssh"


def login(lab: Lab, *options: str, user: str = "admin") -> subprocess.CompletedProcess[str]:
    *ssh, _, command = machine.ssh(lab, lab.address(FIRST_MACHINE), "true")
    return attempt([*ssh, *options, f"{user}@{lab.address(FIRST_MACHINE)}", command])


def without_a_key(lab: Lab) -> str:
    return login(lab, "-o", "PubkeyAuthentication=no", "-o", "ControlPath=none").stderr


def test_ssh_offers_nothing_but_keys(lab: Lab) -> None:
    assert "Permission denied (publickey)." in without_a_key(lab)


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
    do(lab, ROOTS_KEY)

    assert "Permission denied" in login(lab, user="root").stderr
    assert login(lab).returncode == 0


def test_an_inventory_may_go_on_with_passwords_and_with_root(lab: Lab) -> None:
    do(lab, ROOTS_KEY)
    with kept(lab, SETTINGS):
        deploy(lab, "base", ssh_passwords=True, ssh_root=True)

        assert "Permission denied (publickey,password)." in without_a_key(lab)
        assert login(lab, user="root").returncode == 0
        # Root's own password is another matter.
        assert "permitrootlogin without-password" in do(lab, "/usr/sbin/sshd -T -C user=root").splitlines()
    do(lab, "systemctl reload ssh")
    assert "Permission denied (publickey)." in without_a_key(lab)


def test_security_updates_come_by_themselves(lab: Lab) -> None:
    tried = do(lab, "unattended-upgrade --dry-run --debug")

    assert "label=Debian-Security" in tried.partition("Allowed origins are:")[2].splitlines()[0]
    assert do(lab, "apt-config shell on APT::Periodic::Unattended-Upgrade").strip() == "on='1'"
    assert do(lab, "systemctl is-enabled apt-daily-upgrade.timer").strip() == "enabled"


def test_they_come_where_the_image_has_switched_them_off(lab: Lab) -> None:
    """As Bento's boxes for Vagrant do, and with the timers masked, too."""
    do(lab, "systemctl disable --now apt-daily.timer apt-daily-upgrade.timer")
    do(lab, "systemctl mask apt-daily.service apt-daily-upgrade.service apt-daily.timer apt-daily-upgrade.timer")
    do(lab, """echo 'APT::Periodic::Enable "0";' >/etc/apt/apt.conf.d/10periodic""")
    try:
        deploy(lab, "base")

        assert 'APT::Periodic::Enable "1";' in do(lab, "apt-config dump APT::Periodic").splitlines()
        assert do(lab, "systemctl is-enabled apt-daily.timer apt-daily-upgrade.timer").split() == ["enabled"] * 2
        assert do(lab, "systemctl is-active apt-daily.timer apt-daily-upgrade.timer").split() == ["active"] * 2
        states = do(lab, "systemctl show --property=LoadState --value apt-daily.service apt-daily-upgrade.service")
        assert states.split() == ["loaded"] * 2
    finally:
        do(lab, "rm /etc/apt/apt.conf.d/10periodic")


def test_nobody_may_redirect_its_packets(lab: Lab) -> None:
    names = do(lab, "sysctl --all --names --pattern '[.](accept|send)_redirects$'").split()

    # Of every interface, with IPv6 too.
    assert {"net.ipv4.conf.lo.accept_redirects", "net.ipv6.conf.lo.accept_redirects"} < set(names)
    assert set(do(lab, f"sysctl --values {' '.join(names)}").split()) == {"0"}
    assert do(lab, "sysctl --values net.ipv4.conf.all.accept_source_route").strip() == "0"


def test_the_service_user_has_no_shell(lab: Lab) -> None:
    assert do(lab, "getent passwd saas").strip().endswith(":/usr/sbin/nologin")
