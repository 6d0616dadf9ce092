"""What the role does for a machine, asked of the machine."""

import requests
from testinfra.host import Host

from tests.lab.services import address, capabilities


def unit(host: Host) -> str:
    release = host.check_output("readlink --canonicalize /srv/saas/current").rpartition("/")[2]
    return f"gunicorn@{release}.service"


def test_it_has_no_rights_of_root(host: Host) -> None:
    assert capabilities(host, unit(host)) == "0000000000000000"


def test_its_socket_waits_for_it_when_it_was_killed(host: Host) -> None:
    host.check_output("systemctl kill --signal=KILL %s", unit(host))

    # The site's certificate is its own.
    answer = requests.get(f"https://{address(host)}/health/", verify=False, timeout=60)  # noqa: S501

    assert answer.json()["status"] == "ok"
