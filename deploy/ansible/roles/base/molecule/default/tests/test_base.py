"""What the role does for a machine, asked of the machine."""

from testinfra.host import Host


def test_the_service_user_gets_no_shell(host: Host) -> None:
    assert "not available" in host.run("runuser --login saas --command true").stdout


def test_ssh_takes_no_passwords_and_no_root(host: Host) -> None:
    settings = host.check_output("/usr/sbin/sshd -T").splitlines()

    assert {"passwordauthentication no", "permitrootlogin no"} <= set(settings)


def test_security_updates_are_due_every_day(host: Host) -> None:
    settings = host.check_output("apt-config dump APT::Periodic").splitlines()

    assert {'APT::Periodic::Enable "1";', 'APT::Periodic::Unattended-Upgrade "1";'} <= set(settings)
    assert host.service("apt-daily.timer").is_running
    assert host.service("apt-daily-upgrade.timer").is_running
