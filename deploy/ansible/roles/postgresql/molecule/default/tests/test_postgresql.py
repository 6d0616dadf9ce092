"""What the role does for a machine, asked of the machine."""

from testinfra.host import Host


def test_it_listens_on_loopback_alone(host: Host) -> None:
    assert host.socket("tcp://127.0.0.1:5432").is_listening
    assert not host.socket("tcp://0.0.0.0:5432").is_listening


def test_nobody_comes_in_over_the_network_without_a_password(host: Host) -> None:
    refused = host.run("psql --host 127.0.0.1 --username saas_web --no-password saas --command 'select 1'")

    assert "no password supplied" in refused.stderr


def test_it_detects_damaged_pages(host: Host) -> None:
    assert host.check_output("runuser -u postgres -- psql -tAc 'show data_checksums'") == "on"
