"""What the role does for a machine, asked of the machine."""

import subprocess
import sys
from pathlib import Path

from testinfra.host import Host

from tests.lab.services import ANSIBLE, SECRETS


def test_it_stops_before_anything_changes(host: Host) -> None:
    """Also the role that would come next, and would have written the file that is missing."""
    host.check_output("mv /etc/saas/gunicorn.env /etc/saas/gunicorn.env.aside")
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(ANSIBLE / "inventories/lab"), "site.yml"]
    wrong = ["--tags", "gunicorn", "-e", "site_tls=maybe", "-e", f"site_secrets_file={SECRETS}"]

    try:
        done = subprocess.run([*argv, *wrong], cwd=ANSIBLE, check=False, capture_output=True, text=True)
        written = host.file("/etc/saas/gunicorn.env").exists
    finally:
        host.check_output("mv /etc/saas/gunicorn.env.aside /etc/saas/gunicorn.env")

    assert done.returncode == 2
    assert 'site_tls is "maybe"' in " ".join(done.stdout.split())
    assert not written
