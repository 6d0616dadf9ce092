"""What the role does for a machine, asked of the machine."""

import requests
from testinfra.host import Host

from tests.lab.services import address


def test_http_leads_to_https(host: Host) -> None:
    answer = requests.get(f"http://{address(host)}/", allow_redirects=False, timeout=10)

    assert answer.status_code == 301
    assert answer.headers["Location"].startswith("https://")


def test_https_says_to_stay_with_it_and_tells_no_version(host: Host) -> None:
    # The site's certificate is its own.
    answer = requests.get(f"https://{address(host)}/", verify=False, timeout=10)  # noqa: S501

    assert "Strict-Transport-Security" in answer.headers
    assert answer.headers["Server"] == "nginx"


def test_flower_asks_strangers_for_a_password(host: Host) -> None:
    answer = requests.get(f"https://{address(host)}/flower/api/workers", verify=False, timeout=10)  # noqa: S501

    assert answer.status_code == 401
