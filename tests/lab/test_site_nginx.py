"""What nginx answers, refuses and withstands, as a stranger sees it."""

import socket
import ssl
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import yaml

from lab import machine, proof
from lab.browser import Browser, Forms
from lab.labs import FIRST_MACHINE, Lab
from tests.lab.hosts import do
from tests.lab.site import ask

HSTS = "max-age=31536000"


@pytest.fixture(scope="module")
def stranger(lab: Lab, first_run: object) -> Browser:
    return proof.visit(lab).browser


@pytest.fixture(scope="module")
def sheet(stranger: Browser) -> str:
    return Forms(stranger.get("/accounts/login/").text).stylesheets[0]


@pytest.fixture(scope="module")
def operator(lab: Lab, first_run: object) -> Browser:
    """At Flower, with its password."""
    browser = proof.visit(lab).browser
    password = yaml.safe_load(lab.secrets.read_text(encoding="utf-8"))["secret_flower_password"]
    browser.session.auth = ("flower", password)
    return browser


def hello(lab: Lab, version: ssl.TLSVersion, ciphers: str = "DEFAULT:@SECLEVEL=0") -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # Or this side would refuse the old versions itself.
    context.set_ciphers(ciphers)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context.wrap_socket(socket.create_connection((lab.address(FIRST_MACHINE), 443), timeout=30))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_it_speaks_http_2_over_tls(lab: Lab, stranger: Browser, version: ssl.TLSVersion) -> None:
    with hello(lab, version) as connection:
        assert connection.selected_alpn_protocol() == "h2"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_it_speaks_no_older_tls(lab: Lab, stranger: Browser, version: ssl.TLSVersion) -> None:
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        hello(lab, version)


def test_it_speaks_tls_1_2_with_authenticated_encryption_alone(lab: Lab, stranger: Browser) -> None:
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        hello(lab, ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/accounts/login/", 200), ("/static/none", 404), ("/flower/metrics", 401), ("/static/staticfiles.json", 404)],
)
def test_every_answer_has_its_headers_once(stranger: Browser, path: str, status: int) -> None:
    answer = stranger.get(path)

    assert answer.status_code == status
    assert answer.headers["Strict-Transport-Security"] == HSTS
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Server"] == "nginx"


def test_http_promises_nothing_and_tells_no_version(lab: Lab, stranger: Browser) -> None:
    answer = requests.get(f"http://{lab.address(FIRST_MACHINE)}/", timeout=30, allow_redirects=False)

    assert answer.headers["Server"] == "nginx"
    assert "Strict-Transport-Security" not in answer.headers


def test_http_on_the_port_of_https_tells_no_version(lab: Lab, stranger: Browser) -> None:
    answer = requests.get(f"http://{lab.address(FIRST_MACHINE)}:443/", timeout=30)

    assert answer.status_code == 400
    assert "nginx/" not in answer.text + answer.headers["Server"]


def test_static_files_are_compressed_and_never_asked_for_again(stranger: Browser, sheet: str) -> None:
    answer = stranger.get(sheet, headers={"Accept-Encoding": "gzip"})

    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.text == stranger.get(sheet, headers={"Accept-Encoding": "identity"}).text


def test_a_file_whose_name_has_no_hash_is_asked_for_again(stranger: Browser) -> None:
    assert stranger.get("/static/admin/css/base.css").headers["Cache-Control"] == "no-cache"


def flood(stranger: Browser, path: str) -> Counter[int]:
    with ThreadPoolExecutor(10) as crowd:
        return Counter(crowd.map(lambda _: stranger.get(path).status_code, range(200)))


def test_a_flood_of_the_account_pages_is_refused(stranger: Browser) -> None:
    answers = flood(stranger, "/accounts/login/")

    assert set(answers) == {200, 429}
    assert answers[200] >= 40


def test_large_bodies_are_refused(stranger: Browser) -> None:
    answer = stranger.session.post(f"{stranger.site}accounts/login/", data=b"x" * 1_100_000, timeout=30)

    assert answer.status_code == 413


def test_who_sends_a_header_byte_by_byte_is_cut_off(lab: Lab, stranger: Browser) -> None:
    with socket.create_connection((lab.address(FIRST_MACHINE), 80), timeout=40) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")

        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_health_is_not_logged(lab: Lab, stranger: Browser) -> None:
    names = [stranger.get(path).headers["X-Request-ID"] for path in ("/health/", "/accounts/login/")]

    assert "login" in do(lab, f"sleep 1; journalctl -t nginx REQUEST_ID={names[1]}")
    assert "health" not in do(lab, f"journalctl -t nginx REQUEST_ID={names[0]}")


@pytest.mark.parametrize("path", ["/flower/", "/flower/api/workers", "/flower/metrics", "/flower/healthcheck"])
def test_flower_shows_nothing_to_strangers(stranger: Browser, path: str) -> None:
    assert stranger.get(path).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "//flower/api/workers",
        "/%66lower/api/workers",
        "/flower%2fapi%2fworkers",
        "/static/../flower/metrics",
        "/static/%2e%2e/flower/metrics",
        "/health/../flower/healthcheck",
        "/accounts/reset/../../flower/",
    ],
)
def test_nor_however_the_path_is_spelt(lab: Lab, stranger: Browser, path: str) -> None:
    assert ask(lab, path).status == 401


@pytest.mark.parametrize("path", ["api/worker/shutdown/celery@saas", "api/task/revoke/1", "login", "api/tasks"])
def test_flower_only_looks(operator: Browser, path: str) -> None:
    assert operator.session.post(f"{operator.site}flower/{path}", timeout=30).status_code == 403


def test_flower_itself_refuses_too(lab: Lab, operator: Browser) -> None:
    sent = operator.session.prepare_request(requests.Request("POST", operator.site)).headers["Authorization"]
    post = f"c.request('POST', '/flower/api/task/revoke/1', headers={{'Authorization': '{sent}'}})"
    script = (
        f"import http.client; c = http.client.HTTPConnection('127.0.0.1', 5555); {post}; print(c.getresponse().status)"
    )

    assert machine.execute(lab, "saas", "python3", "-c", script) == "403\n"


def ask_for_tasks(operator: Browser, path: str) -> requests.Response:
    """As Flower's page does. The path is sent as it stands here."""
    assert operator.get("/flower/tasks").ok
    token = {"X-XSRFToken": operator.session.cookies["_xsrf"]}
    asked = {"draw": "1", "start": "0", "length": "10", "search[value]": "", "order[0][column]": "0"}
    asked |= {"order[0][dir]": "asc", "columns[0][data]": "name"}
    request = operator.session.prepare_request(requests.Request("POST", operator.site, data=asked, headers=token))
    request.url = f"{operator.site}flower/{path}"
    return operator.session.send(request, timeout=30)


def test_its_pages_work_all_the_same(operator: Browser) -> None:
    assert operator.get("/flower/api/workers").ok

    answer = ask_for_tasks(operator, "tasks/datatable")

    assert answer.status_code == 200
    assert "data" in answer.json()


def test_the_way_to_them_leads_nowhere_else(operator: Browser) -> None:
    """Flower gets the path that nginx has judged, not the one that was sent."""
    answer = ask_for_tasks(operator, "api/worker/shutdown/w/../../../../tasks/datatable")

    assert "data" in answer.json()


def test_a_flood_of_guesses_at_flower_s_password_is_refused(stranger: Browser) -> None:
    """Behind the other tests of Flower, which would be refused for two seconds after it."""
    assert set(flood(stranger, "/flower/")) == {401, 429}


def test_a_page_stands_in_for_a_site_that_is_down(lab: Lab, stranger: Browser) -> None:
    do(lab, "mv /srv/saas/current/run /srv/saas/current/gone")
    try:
        answer = stranger.get("/")
    finally:
        do(lab, "mv /srv/saas/current/gone /srv/saas/current/run")

    assert answer.status_code == 502
    assert "Back in a moment" in answer.text
    assert answer.headers["Strict-Transport-Security"] == HSTS
    assert answer.headers["Referrer-Policy"] == "no-referrer"
