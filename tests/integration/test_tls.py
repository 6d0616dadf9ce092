"""Redis over TLS as broker and result backend, with an authority of one's own."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Environment, Start, manage
from tests.integration.servers import Redis, listening, program, server_folder, wait_until

NAMES = ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND")
# What either client says, one line each.
TALK = """
from config import celery_app
for client in (lambda: celery_app.connection().default_channel.client, lambda: celery_app.backend.client):
    try:
        print(client().ping())
    except Exception as error:
        print(" ".join(str(error).split()))
"""


class TlsRedis(Redis):
    def options(self, folder: Path) -> dict[str, object]:
        files = {f"tls-{name}-file": folder / f"{name}.pem" for name in ("cert", "key")}
        return {**super().options(folder), **files, "port": 0, "tls-port": self.port, "tls-auth-clients": "no"}

    def answers(self) -> bool:
        return listening(self.port)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authority")
    issue(folder, "ca", "/CN=authority")
    return folder


@pytest.fixture(scope="module")
def tls_redis(authority: Path) -> Iterator[Redis]:
    signed = ("-CA", authority / "ca.pem", "-CAkey", authority / "key.pem")
    with server_folder() as folder:
        issue(folder, "cert", "/CN=redis", *signed, "-addext", "subjectAltName=IP:127.0.0.1")
        server = TlsRedis(folder)
        yield server
        server.stop()


def issue(folder: Path, name: str, subject: str, *options: str | Path) -> None:
    """Make a certificate `name`.pem and its key.pem."""
    new = [program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", subject]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / f"{name}.pem")]
    subprocess.run([*new, *files, *options], check=True, capture_output=True)
    # For the server, which is another user.
    (folder / "key.pem").chmod(0o644)


def urls(server: Redis, query: str, host: str = "127.0.0.1") -> Environment:
    return {name: f"rediss://{host}:{server.port}/{number}{query}" for number, name in enumerate(NAMES)}


def shell(environment: Environment, code: str) -> list[str]:
    return manage(environment, "shell", "--no-imports", "-c", code).splitlines()


def test_tasks_and_results_pass(environment: Environment, start: Start, tls_redis: Redis, authority: Path) -> None:
    changes = urls(tls_redis, f"?ssl_ca_certs={authority / 'ca.pem'}")
    worker = start("celery", "-A", "config", "worker", "-I", "core.examples", "-c", "1", "-l", "info", **changes)
    wait_until(lambda: " ready." in worker.output(), "the worker is ready")
    code = "from core.examples import *; print(one_after_the_other(1, 2, 3).get(timeout=20))"

    assert shell({**environment, **changes}, code) == ["6"]
    assert manage({**environment, **changes}, "health") == "database: ok\nbroker: ok\n"


@pytest.mark.parametrize(("host", "known"), [("127.0.0.1", False), ("localhost", True)], ids=["authority", "name"])
def test_a_wrong_certificate_is_refused(
    environment: Environment, tls_redis: Redis, authority: Path, host: str, known: bool
) -> None:
    """One whose authority is unknown, and one for another host."""
    changes = urls(tls_redis, f"?ssl_ca_certs={authority / 'ca.pem'}" if known else "", host)

    said = shell({**environment, **changes}, TALK)

    assert ["certificate verify failed" in line for line in said] == [True, True], said


def test_any_certificate_passes_when_none_is_required(environment: Environment, tls_redis: Redis) -> None:
    changes = urls(tls_redis, "?ssl_cert_reqs=none")

    assert shell({**environment, **changes}, TALK) == ["True", "True"]
