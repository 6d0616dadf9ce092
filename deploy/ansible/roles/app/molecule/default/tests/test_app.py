"""What the role does for a machine, asked of the machine."""

from testinfra.host import Host


def test_its_release_runs_with_its_environment_and_a_migrated_database(host: Host) -> None:
    assert host.run("saas manage migrate --check").rc == 0


def test_nobody_but_root_reads_its_settings(host: Host) -> None:
    assert "Permission denied" in host.run("runuser -u saas -- cat /etc/saas/saas.env").stderr


def test_its_service_cannot_change_its_code(host: Host) -> None:
    assert "Permission denied" in host.run("runuser -u saas -- touch /srv/saas/current/app/manage.py").stderr
