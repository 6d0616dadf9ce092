"""What the role does for a machine, asked of the machine."""

import json

from testinfra.host import Host


def test_saas_status_tells_of_every_service(host: Host) -> None:
    told = json.loads(host.run("saas status --json").stdout)

    assert {"celery-beat", "flower"} <= {finding["name"] for finding in told["findings"]}


def test_saas_manage_runs_as_the_service_does(host: Host) -> None:
    """In its sandbox, where nothing of the system may be written."""
    script = "import getpass, os; print(getpass.getuser(), os.access('/etc', os.W_OK))"

    assert host.check_output("saas manage shell --no-imports --command %s", script).splitlines()[-1] == "saas False"
