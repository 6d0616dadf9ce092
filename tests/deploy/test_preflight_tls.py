"""What site.yml says to a provided certificate that will not do, before it has reached any host."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from tests.deploy.test_preflight import GOOD, GROUPS, inventory, run

KEY = ec.generate_private_key(ec.SECP256R1())
DAY = timedelta(days=1)


def pem(name: str = "app.example.org", begins: timedelta = -DAY, ends: timedelta = DAY) -> bytes:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().serial_number(1).public_key(KEY.public_key())
    builder = builder.subject_name(x509.Name([])).issuer_name(x509.Name([]))
    builder = builder.not_valid_before(now + begins).not_valid_after(now + ends)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


def key(made: ec.EllipticCurvePrivateKey = KEY, password: bytes = b"") -> bytes:
    locked = BestAvailableEncryption(password) if password else NoEncryption()
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)


def provide(path: Path, certificate: bytes, private: bytes) -> tuple[int, str]:
    (path / "site.pem").write_bytes(certificate)
    (path / "site.key").write_bytes(private)
    files = {"site_tls_certificate": str(path / "site.pem"), "site_tls_key": str(path / "site.key")}
    return run(path, inventory(GOOD | files | {"site_tls": "provided"}, GROUPS))


@pytest.mark.parametrize(
    ("certificate", "private", "sentence"),
    [
        (pem(begins=-3 * DAY, ends=-DAY), key(), f"ended on {datetime.now(UTC) - DAY:%Y-%m-%d}. Renew it"),
        (pem(begins=DAY, ends=2 * DAY), key(), f"is not valid before {datetime.now(UTC) + DAY:%Y-%m-%d}."),
        (pem("other.example.org"), key(), "is for other.example.org and not for site_domain, app.example.org."),
        (pem(), key(ec.generate_private_key(ec.SECP256R1())), "is not the key of site_tls_certificate"),
        (pem(), key(password=b"hunter2"), "cannot be read as a key without a password."),
        (b"hello", key(), "cannot be read as a certificate"),
        (pem(), b"", "cannot be read as a key without a password."),
    ],
    ids=["expired", "future", "other name", "other key", "locked key", "no certificate", "no key"],
)
def test_it_refuses(tmp_path: Path, certificate: bytes, private: bytes, sentence: str) -> None:
    code, output = provide(tmp_path, certificate, private)

    assert code == 2
    assert "site_tls_" in output
    assert sentence in output
    assert "PRIVATE KEY" not in output


@pytest.mark.parametrize("name", ["app.example.org", "*.example.org"])
def test_it_goes_on_with_a_good_one(tmp_path: Path, name: str) -> None:
    _, output = provide(tmp_path, pem(name), key())

    assert "vm cannot be reached over SSH" in output
    assert "site_tls_" not in output
