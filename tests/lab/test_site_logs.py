from lab import machine, playbook
from lab.labs import FIRST_MACHINE, Lab

TOKEN = "c0ffee-0123456789abcdef0123456789abcdef"


def test_a_reset_link_reaches_no_log(lab: Lab, first_run: playbook.Progress) -> None:
    url = f"https://{lab.address(FIRST_MACHINE)}/accounts/reset/Mg/{TOKEN}/"
    fetch = f"import ssl, urllib.request as u; u.urlopen('{url}', context=ssl._create_unverified_context())"
    machine.execute(lab, "saas", "python3", "-c", fetch)

    logs = machine.execute(lab, "saas", "sh", "-c", "cat /var/log/nginx/*.log; journalctl --boot --output cat")

    assert "GET /accounts/reset/Mg/***" in logs
    assert TOKEN not in logs
