"""What the journal of a deployed machine holds."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest

from lab import playbook
from lab.labs import FIRST_MACHINE, Lab
from tests.lab.site import ask, entries, get, sh

TOKEN = "c0ffee-0123456789abcdef0123456789abcdef"
OURS = "-u gunicorn@* -u celery-worker@* -u celery-beat -u flower"


def logs(lab: Lab) -> str:
    return sh(lab, "cat /var/log/nginx/*.log; journalctl --sync; journalctl --boot --output cat --no-pager")


SPELLINGS = [
    f"/accounts/reset/Mg/{TOKEN}/",
    f"/accounts/%72eset/Mg/{TOKEN}/",
    f"//accounts/reset/Mg/{TOKEN}/",
    f"/accounts//reset/Mg/{TOKEN}/",
    f"/accounts/login/?next=/accounts/reset/Mg/{TOKEN}/",
]


def test_a_reset_link_reaches_no_log(lab: Lab, first_run: playbook.Progress) -> None:
    for path in SPELLINGS:
        ask(lab, path)

    text = logs(lab)

    assert "/accounts/reset/***" in text
    assert TOKEN not in text


def test_it_reaches_none_while_the_site_is_down_either(lab: Lab, first_run: playbook.Progress) -> None:
    release = sh(lab, "basename $(readlink /srv/saas/current)").strip()
    units = f"gunicorn@{release}.socket gunicorn@{release}.service"
    sh(lab, f"systemctl stop {units}")
    try:
        answers = [ask(lab, path) for path in SPELLINGS[:4]]
    finally:
        sh(lab, f"systemctl start {units}")

    assert {(answer.status, answer.headers["Referrer-Policy"]) for answer in answers} == {(502, "no-referrer")}
    assert TOKEN not in logs(lab)


@pytest.mark.parametrize("path", ["/", "/static/none", "/flower/", "/health/", "/none"])
def test_every_answer_names_its_request_once(lab: Lab, first_run: playbook.Progress, path: str) -> None:
    assert len(ask(lab, path).headers.get_all("X-Request-ID", [])) == 1


def test_what_a_visitor_sends_stays_readable_and_short(lab: Lab, first_run: playbook.Progress) -> None:
    path = f"/{secrets.token_hex(8)}"

    answer = ask(lab, path + "/a" * 1000 + "%0a", **{"User-Agent": "bad\xff" + "x" * 1000})

    (line,) = entries(lab, f"SYSLOG_IDENTIFIER=nginx REQUEST_ID={answer.headers['X-Request-ID']}")
    assert path in line["MESSAGE"]
    assert len(line["MESSAGE"]) < 1000


def test_neither_a_method_nor_a_host_fills_the_log(lab: Lab, first_run: playbook.Progress) -> None:
    connection = HTTPConnection(lab.address(FIRST_MACHINE), timeout=30)
    connection.request("A" * 7000, "/", headers={"Host": "h" * 7000})
    request = connection.getresponse().headers["X-Request-ID"]

    (line,) = entries(lab, f"SYSLOG_IDENTIFIER=nginx REQUEST_ID={request}")

    assert len(line["MESSAGE"]) < 1000


def test_nginx_lines_have_the_request_and_the_status_as_fields(lab: Lab, first_run: playbook.Progress) -> None:
    path = f"/{secrets.token_hex(8)}"
    request = get(lab, f'{path}?q="\\&é').headers["X-Request-ID"]

    (line,) = entries(lab, f"REQUEST_ID={request} SYSLOG_IDENTIFIER=nginx")

    assert path in line["MESSAGE"]
    assert (line["HTTP_STATUS"], line["PRIORITY"]) == ("404", "6")


def test_a_burst_of_requests_loses_no_line(lab: Lab, first_run: playbook.Progress) -> None:
    path = f"/{secrets.token_hex(8)}"
    count = 4000

    def load(connection: HTTPConnection) -> None:
        for _ in range(count // 8):
            connection.request("GET", path)
            connection.getresponse().read()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(load, [HTTPConnection(lab.address(FIRST_MACHINE), timeout=30) for _ in range(8)]))

    # A line that was lost has a warning of nginx's in its place.
    access = "journalctl -t nginx HTTP_STATUS=301 --output cat --no-pager"
    found = sh(lab, f"sleep 2; journalctl --sync; {access} | grep -c '{path}'")
    assert int(found) == count


def test_what_carries_the_access_log_comes_back_however_often_it_dies(lab: Lab, first_run: playbook.Progress) -> None:
    up = "timeout 60 sh -c 'until systemctl kill --signal KILL nginx-journal; do sleep 0.1; done'"
    sh(lab, f"for time in $(seq 8); do {up}; sleep 0.4; done; systemctl restart nginx-journal")

    request = get(lab, "/").headers["X-Request-ID"]

    assert entries(lab, f"SYSLOG_IDENTIFIER=nginx REQUEST_ID={request}")


def test_an_error_is_one_entry_with_its_traceback(lab: Lab, first_run: playbook.Progress) -> None:
    sh(lab, "systemctl stop postgresql")
    try:
        answer = get(lab, "/health/")
    finally:
        sh(lab, "systemctl start postgresql")

    found = entries(lab, f"-p err REQUEST_ID={answer.headers['X-Request-ID']}")

    assert answer.status_code == 503
    assert [entry["LOGGER"] for entry in found] == ["core.health", "django.request"]
    assert "Traceback" in found[0]["MESSAGE"]
    assert "OperationalError" in found[0]["MESSAGE"]


def test_a_unit_that_cannot_start_says_why_as_an_error(lab: Lab, first_run: playbook.Progress) -> None:
    folder = "/run/systemd/system/celery-beat.service.d"
    sh(lab, f"mkdir -p {folder}; printf '[Service]\\nEnvironment=CELERY_LOG_LEVEL=LOUD\\n' >{folder}/wrong.conf")
    try:
        sh(lab, "systemctl daemon-reload; systemctl restart celery-beat; sleep 4")
        said = [entry["MESSAGE"] for entry in entries(lab, "-u celery-beat -p err")]
    finally:
        sh(lab, f"rm -r {folder}; systemctl daemon-reload; systemctl restart celery-beat")

    assert any("CELERY_LOG_LEVEL must be one of" in line for line in said)
