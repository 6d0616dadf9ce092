"""What log_strategy and sentry_dsn of the inventory choose on a machine, beside the journal and the files."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import playbook
from lab.labs import Lab
from tests.lab.faults import copy, kept
from tests.lab.hosts import do, wait_until_shown
from tests.lab.site import deploy, entries, get

SENTRY = Path(__file__).parents[1] / "integration/sentry.py"
RECEIVER = """
import json, time, sentry
server = sentry.Sentry()
print(server.dsn, flush=True)
while True:
    while server.events:
        event = server.events.pop(0)
        print(json.dumps({name: event[name] for name in ("release", "logger", "tags")}), flush=True)
    time.sleep(0.2)
"""


@pytest.fixture(autouse=True)
def journal_again(lab: Lab, first_run: playbook.Progress) -> Iterator[None]:
    """Afterwards, and faster than the playbook."""
    with kept(lab, "/etc/saas/saas.env"):
        yield
    do(lab, "systemctl restart 'gunicorn@*.service'")


@pytest.fixture
def dsn(lab: Lab) -> Iterator[str]:
    """Where somebody takes Sentry's events and says what they are."""
    do(lab, "mkdir /opt/sentry")
    copy(lab, SENTRY, "/opt/sentry/sentry.py")
    do(lab, f"cat >/opt/sentry/receive.py <<'END'{RECEIVER}END")
    do(lab, "systemd-run --quiet --collect --unit sentry python3 /opt/sentry/receive.py")
    try:
        yield wait_until_shown(lab, "journalctl --unit sentry --output cat --identifier python3", "http").text.strip()
    finally:
        do(lab, "systemctl stop sentry; rm -r /opt/sentry")


def test_syslog_gets_the_lines_with_facility_local0(lab: Lab) -> None:
    deploy(lab, "app,gunicorn", log_strategy="syslog")
    path = f"/{secrets.token_hex(8)}/"

    get(lab, path)

    (line,) = entries(lab, f"SYSLOG_FACILITY=16 --grep 'GET {path} 404'")
    assert (line["_TRANSPORT"], line["SYSLOG_IDENTIFIER"], line["PRIORITY"]) == ("syslog", "gunicorn", "6")


def test_sentry_gets_errors_with_the_release_and_the_request(lab: Lab, dsn: str) -> None:
    deploy(lab, "app,gunicorn", log_strategy="sentry", sentry_dsn=dsn)
    do(lab, "systemctl stop postgresql")
    try:
        request = get(lab, "/health/").headers["X-Request-ID"]
    finally:
        do(lab, "systemctl start postgresql")

    shown = wait_until_shown(lab, "journalctl --unit sentry --output cat --identifier python3", request).text
    event = next(json.loads(line) for line in shown.splitlines() if request in line)
    assert event["release"] == do(lab, "basename $(readlink /srv/saas/current)").strip()
    # The journal has them too.
    assert entries(lab, f"-p err REQUEST_ID={request}")
