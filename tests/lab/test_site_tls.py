"""Certificates that are not made on the host: one from files, one from an authority that runs on the machine."""

import ssl
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lab import console, paths, playbook, snapshot
from lab.labs import FIRST_MACHINE, Lab
from lab.shell import LabError, run
from tests.deploy.test_preflight_tls import DAY, key, pem
from tests.lab.hosts import do

NAME = "app.saas.test"
PEBBLE = """
apt-get install -qq -y pebble
mkdir -p /run/pebble && cd /run/pebble
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=pebble \\
    -addext subjectAltName=DNS:localhost
cp cert.pem /usr/local/share/ca-certificates/pebble.crt && update-ca-certificates
echo '{"pebble": {"listenAddress": "127.0.0.1:14000", "certificate": "/run/pebble/cert.pem",
       "privateKey": "/run/pebble/key.pem", "httpPort": 80, "tlsPort": 443}}' >config.json
echo $(hostname --all-ip-addresses | cut -d ' ' -f 1) app.saas.test >>/etc/hosts
systemd-run --quiet --unit pebble --setenv PEBBLE_VA_NOSLEEP=1 --setenv PEBBLE_WFE_NONCEREJECT=0 \\
    pebble -config /run/pebble/config.json
"""

# When it was started or loaded anew, and what its folder has.
NGINX = """
systemctl show --property=StateChangeTimestampMonotonic,MainPID nginx
find /etc/nginx -printf '%p %T@\n' | sort
"""

# What a run with another certificate, another worker and other logs would change.
MACHINE = """
find /etc/letsencrypt /etc/logrotate.d /etc/nginx /etc/saas /etc/systemd -printf '%p %l %m %T@\n' 2>/dev/null | sort
dpkg --get-selections
systemctl list-units --plain --no-legend 'celery-worker@*' nginx.service
"""
WORKERS = paths.ANSIBLE / "roles/celery_worker/defaults/main.yml"
REPORTS = {"name": "reports", "queues": ["celery"], "concurrency": 1}


def deploy(lab: Lab, **variables: Any) -> playbook.Progress:
    with console.step("Deploying another certificate", "certificate"):
        release = snapshot.take(paths.ROOT)
        log = lab.directory / "tls.log"
        return playbook.run(lab, "site.yml", log, "--tags=nginx", app_release_ref=release, **variables)


@pytest.fixture(scope="module")
def other_certificates(lab: Lab, first_run: object) -> Iterator[Lab]:
    yield lab
    deploy(lab)


def shown(lab: Lab) -> str:
    """The serial number and issuer of the certificate that visitors see."""
    certificate = ssl.get_server_certificate((lab.address(FIRST_MACHINE), 443), timeout=30)
    return do(lab, f"openssl x509 -noout -serial -issuer -nameopt RFC2253 <<'END'\n{certificate}\nEND")


def provided(lab: Lab) -> dict[str, str]:
    """The variables of an inventory with a certificate of its own."""
    certificate, key = lab.directory / "fullchain.pem", lab.directory / "privkey.pem"
    subject = ["-subj", "/CN=provided", "-addext", f"subjectAltName=IP:{lab.address(FIRST_MACHINE)}"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "90", *subject, *files])
    return {"site_tls": "provided", "site_tls_certificate": str(certificate), "site_tls_key": str(key)}


def foresee(lab: Lab, tags: str, **variables: Any) -> list[str]:
    """What --check says would change. It changes nothing itself."""
    before = do(lab, MACHINE)
    with console.step("Foreseeing another certificate", "check mode"):
        log = lab.directory / "foreseen.log"
        told = playbook.run(lab, "site.yml", log, "--check", "--diff", f"--tags={tags}", **variables)
    assert do(lab, MACHINE) == before
    return told.changed


def test_check_mode_foresees_a_provided_one_and_another_worker(lab: Lab, first_run: object) -> None:
    workers = [*yaml.safe_load(WORKERS.read_text())["celery_worker_instances"], REPORTS]
    others = {"celery_worker_instances": workers, "log_strategy": "file"}

    changed = foresee(lab, "logging,celery_worker,nginx", **provided(lab), **others)

    assert changed.count("nginx: Show it to visitors") == 1
    assert changed.count("celery_worker: Let the ones that a deploy starts beside them consume the same") == 1
    assert changed.count("celery_worker: Start the unit, anew if it is older than its files") == 1


def test_check_mode_foresees_one_of_an_authority(lab: Lab, first_run: object) -> None:
    """Also where there is none yet that nginx could begin with."""
    do(lab, f"cp /etc/hosts /root/hosts; echo 192.0.2.1 {NAME} >>/etc/hosts; mv /etc/nginx/tls/selfsigned /root")
    try:
        changed = foresee(lab, "nginx", site_tls="acme", site_domain=NAME)
    finally:
        do(lab, "mv /root/selfsigned /etc/nginx/tls; cat /root/hosts >/etc/hosts; rm /root/hosts")

    wanted = ["Create the directory of the certificate", "Install certbot", "Have the certificate issued"]
    assert [name for name in wanted if f"nginx: {name}" not in changed] == []


def test_it_installs_a_provided_one(other_certificates: Lab) -> None:
    lab = other_certificates

    deploy(lab, **provided(lab))

    assert "issuer=CN=provided" in shown(lab)
    assert "PRIVATE KEY" not in (lab.directory / "tls.log").read_text()
    assert do(lab, "stat --format '%U %a' /etc/nginx/tls/provided/privkey.pem") == "root 600\n"
    assert "from the inventory" in do(lab, "saas status | grep certificate")


@pytest.mark.parametrize(
    ("certificate", "sentence"),
    [(pem(begins=-3 * DAY, ends=-DAY), "ended on"), (pem("other.example.org"), "is for other.example.org")],
    ids=["expired", "other name"],
)
def test_one_that_will_not_do_leaves_nginx_alone(other_certificates: Lab, certificate: bytes, sentence: str) -> None:
    lab = other_certificates
    files = {name: lab.directory / f"unfit.{name}" for name in ("certificate", "key")}
    files["certificate"].write_bytes(certificate)
    files["key"].write_bytes(key())
    before = shown(lab), do(lab, NGINX)

    with pytest.raises(LabError, match=sentence):
        deploy(lab, site_tls="provided", **{f"site_tls_{name}": str(path) for name, path in files.items()})

    assert (shown(lab), do(lab, NGINX)) == before


def test_an_authority_issues_and_renews_one(other_certificates: Lab) -> None:
    lab = other_certificates
    do(lab, PEBBLE)
    acme = {"site_tls": "acme", "site_domain": NAME, "site_acme_directory": "https://localhost:14000/dir"}
    deploy(lab, **acme)
    issued = shown(lab)
    assert "issuer=CN=Pebble Intermediate" in issued
    assert "from certbot" in do(lab, "saas status | grep certificate")
    assert deploy(lab, **acme).changed == []
    assert shown(lab) == issued

    # Due at once; then as the timer does it.
    do(lab, f"sed -i '1i renew_before_expiry = 30 years' /etc/letsencrypt/renewal/{NAME}.conf")
    do(lab, "systemctl is-active certbot.timer && systemctl start certbot.service")

    assert "issuer=CN=Pebble Intermediate" in shown(lab)
    assert shown(lab) != issued
