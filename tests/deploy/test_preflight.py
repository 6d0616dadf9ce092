"""What site.yml says to an inventory that will not do, before it has reached any host."""

import subprocess
import sys
from pathlib import Path

import pytest

ANSIBLE = Path(__file__).parents[2] / "deploy/ansible"
GROUPS = ["database", "redis", "web", "worker", "scheduler", "monitor"]
GOOD = {
    "site_domain": "app.example.org",
    "site_email_url": "smtp+tls://user:p%40ss@smtp.example.org:587",
    "site_default_from_email": "Django SaaS <hello@example.org>",
    "site_admin_email": "admin@example.org",
    "site_tls": "selfsigned",
}
# Port 1 of loopback answers nobody: a run that gets past the variables ends there.
HOST = "vm ansible_host=127.0.0.1 ansible_port=1 preflight_connection_timeout=1"


def inventory(variables: dict[str, str], groups: list[str], host: str = HOST) -> str:
    members = "".join(f"[{group}]\nvm\n" for group in groups)
    values = "".join(f"{name}={value}\n" for name, value in variables.items())
    return f"{host}\n{members}[all:vars]\n{values}"


def run(path: Path, text: str, *arguments: str) -> tuple[int, str]:
    hosts = path / "hosts.ini"
    hosts.write_text(text)
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(hosts), "site.yml", *arguments]
    done = subprocess.run(command, check=False, cwd=ANSIBLE, capture_output=True, text=True)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("name", GOOD)
def test_it_names_a_missing_variable(tmp_path: Path, name: str) -> None:
    code, output = run(tmp_path, inventory({k: v for k, v in GOOD.items() if k != name}, GROUPS))

    assert code == 2
    assert f"- {name} is not set." in output


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("site_domain", "https://app.example.org", "without https://"),
        ("site_domain", "App.example.org:8443", "without a port"),
        ("site_email_url", "smtp.example.org", "smtp+tls://user:password@host:587"),
        ("site_email_url", "smtp://host:port", "smtp+tls://user:password@host:587"),
        ("site_email_url", "smtp://host:99999", "the port is 1 to 65535"),
        ("site_email_url", "smtp://user:pass#word@host", "percent-encoded"),
        ("site_default_from_email", "hello", "neither hello@example.org nor Some Name"),
        ("site_admin_email", "admin", "no e-mail address"),
        ("site_tls", "maybe", "it can be selfsigned or provided or acme"),
        ("site_tls_certificate", "site.pem", "the absolute path, on the control machine, of the certificate"),
        ("site_tls_key", "site.key", "the absolute path, on the control machine, of the certificate's key"),
        ("site_acme_directory", "acme.example.org", "the https:// address"),
        ("flower_writable", "perhaps", "it can be true or false"),
        ("log_strategy", "journal", "it can be console, pid, concurrent, file, queue, syslog, sentry."),
        ("log_strategy", "sentry", "needs sentry_dsn"),
    ],
)
def test_it_explains_a_malformed_variable(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    provided = {"site_tls": "provided"} if name in ("site_tls_certificate", "site_tls_key") else {}

    code, output = run(tmp_path, inventory(GOOD | provided | {name: value}, GROUPS))

    assert code == 2
    assert f"- {name} is" in output
    assert sentence in output


def test_an_authority_is_asked_for_a_name_and_not_for_an_address(tmp_path: Path) -> None:
    code, output = run(tmp_path, inventory(GOOD | {"site_tls": "acme", "site_domain": "192.0.2.1"}, GROUPS))

    assert code == 2
    assert 'site_domain is "192.0.2.1", an address: authorities certify names.' in output


def test_an_authority_is_asked_by_one_web_host(tmp_path: Path) -> None:
    code, output = run(tmp_path, inventory(GOOD | {"site_tls": "acme"}, GROUPS) + "[web]\nother\n")

    assert code == 2
    assert 'site_tls is "acme", and the group web has 2 hosts' in output


def test_it_tells_every_problem_at_once(tmp_path: Path) -> None:
    variables = GOOD | {"site_domain": "localhost", "site_admin_email": "me"}
    del variables["site_tls"]

    _, output = run(tmp_path, inventory(variables, GROUPS))

    assert all(f"- {name} is" in output for name in ("site_domain", "site_admin_email", "site_tls"))


def test_it_does_not_print_the_mail_password(tmp_path: Path) -> None:
    _, output = run(tmp_path, inventory(GOOD | {"site_email_url": "smtp://user:hunter2@"}, GROUPS), "-v")

    assert "site_email_url is not of the form" in output
    assert "hunter2" not in output


def test_it_names_an_empty_group(tmp_path: Path) -> None:
    code, output = run(tmp_path, inventory(GOOD, GROUPS[:-2]))

    assert code == 2
    assert "No host is in the groups scheduler, monitor." in output


@pytest.mark.parametrize("group", ["database", "redis", "scheduler", "monitor"])
def test_it_refuses_two_of_what_there_is_one_of(tmp_path: Path, group: str) -> None:
    code, output = run(tmp_path, inventory(GOOD, GROUPS) + f"[{group}]\nother\n")

    assert code == 2
    assert f"More than one host is in {group}." in output


@pytest.mark.parametrize(
    ("addresses", "sentence"),
    [
        (("10.0.0.1", ""), "private_address is not set for other."),
        (("10.0.0.1", "10.0.0.1"), "Two hosts have the same private_address"),
        (("10.0.0.1", "other.internal"), 'private_address is "other.internal"; it has to be an IPv4 address.'),
    ],
)
def test_hosts_of_a_cluster_need_an_address_each(tmp_path: Path, addresses: tuple[str, str], sentence: str) -> None:
    first, other = (f" private_address={address}" if address else "" for address in addresses)

    code, output = run(tmp_path, inventory(GOOD, GROUPS, HOST + first) + f"[web]\nother{other}\n")

    assert code == 2
    assert sentence in output


def test_it_refuses_an_inventory_without_hosts(tmp_path: Path) -> None:
    code, output = run(tmp_path, "")

    assert code == 2
    assert "names no host" in output


def test_it_refuses_an_unknown_commit(tmp_path: Path) -> None:
    code, output = run(tmp_path, inventory(GOOD, GROUPS), "-e", "app_release_ref=nowhere")

    assert code == 2
    assert '"nowhere" is no commit of the application' in output


def test_it_says_how_to_mend_an_unreachable_host(tmp_path: Path) -> None:
    code, output = run(tmp_path, inventory(GOOD, GROUPS))

    assert code == 2
    assert "vm cannot be reached over SSH" in output
    assert "Connection refused" in output
    assert not (tmp_path / "hosts.secrets.yml").exists()
