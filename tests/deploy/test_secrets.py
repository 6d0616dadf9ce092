"""The file of secrets on the control machine."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from math import log2
from pathlib import Path
from string import ascii_letters, digits

import pytest
import yaml

BIN = Path(sys.executable).parent
ANSIBLE = Path(__file__).parents[2] / "deploy/ansible"
DEFAULTS = ANSIBLE / "roles/secrets/defaults/main.yml"
PLAYBOOK = """
- hosts: all
  gather_facts: false
  roles: [{ role: secrets, tags: [always] }]
"""


def ansible(tool: str, *arguments: object) -> str:
    environment = os.environ | {
        "ANSIBLE_ROLES_PATH": str(ANSIBLE / "roles"),
        "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
    }
    command = [str(BIN / tool), *map(str, arguments)]
    done = subprocess.run(command, check=False, env=environment, cwd=ANSIBLE, capture_output=True, encoding="utf-8")
    return done.stdout + done.stderr


def run(file: Path, *arguments: object) -> str:
    playbook = file.with_name("playbook.yml")
    playbook.write_text(PLAYBOOK)
    variables = ["-e", f"site_secrets_file={file}", "-e", "ansible_connection=local"]
    return ansible("ansible-playbook", "-i", "vm,", playbook, *variables, *arguments)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    file = tmp_path / "site.secrets.yml"
    run(file)
    return file


def test_check_mode_says_that_there_are_none_yet_and_makes_none(tmp_path: Path) -> None:
    file = tmp_path / "site.secrets.yml"

    output = " ".join(run(file, "--check").split())

    assert "lacks secret_database_owner_password" in output
    assert "Run the playbook once without --check" in output
    assert not file.exists()


def test_it_makes_each_secret_once(made: Path) -> None:
    before = made.read_text()

    output = run(made)

    assert "changed=0" in output
    assert made.read_text() == before
    secrets = yaml.safe_load(before)
    assert set(secrets) == set(yaml.safe_load(DEFAULTS.read_text())["secrets_names"])
    assert len(set(secrets.values())) == len(secrets)
    assert all(len(value) == 50 for value in secrets.values())


def test_each_is_of_at_least_128_bits_and_needs_no_escaping(made: Path) -> None:
    secrets = yaml.safe_load(made.read_text()).values()
    # So many characters are drawn that hardly any of the alphabet is missing.
    alphabet = set("".join(secrets))

    assert alphabet <= set(ascii_letters + digits)
    assert min(map(len, secrets)) * log2(len(alphabet)) >= 128


def test_only_its_owner_may_read_it(made: Path) -> None:
    made.chmod(0o644)

    run(made)

    assert made.stat().st_mode & 0o777 == 0o600


def seen(file: Path, ended: threading.Event) -> set[int]:
    """Its modes, as long as there is something in it."""
    modes = set()
    while not ended.is_set():
        with suppress(FileNotFoundError):
            found = file.stat()
            modes |= {found.st_mode & 0o777} if found.st_size else set()
    return modes


@pytest.mark.parametrize("begun", [False, True])
def test_nor_may_anybody_else_while_it_is_made(tmp_path: Path, begun: bool) -> None:
    file, ended = tmp_path / "site.secrets.yml", threading.Event()
    if begun:
        file.touch(0o644)

    with ThreadPoolExecutor() as pool:
        modes = pool.submit(seen, file, ended)
        run(file)
        ended.set()

    assert modes.result() == {0o600}


def test_it_prints_none(made: Path) -> None:
    output = run(made, "-vvv", "--diff", "-e", '{"secrets_names": ["secret_new"]}')

    assert [value for value in yaml.safe_load(made.read_text()).values() if value in output] == []


def test_what_is_missing_is_added_and_the_rest_is_kept(made: Path) -> None:
    made.write_text(made.read_text() + "operators_own: 'a: b'\n")
    before = yaml.safe_load(made.read_text())

    run(made, "-e", '{"secrets_names": ["secret_new"]}')

    after = yaml.safe_load(made.read_text())
    assert {name: after[name] for name in before} == before
    assert len(after["secret_new"]) == 50


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text("open sesame")
    return file


@pytest.fixture(params=["ANSIBLE_VAULT_PASSWORD_FILE={}", "ANSIBLE_VAULT_IDENTITY_LIST=ours@{}"])
def vault(request: pytest.FixtureRequest, password: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The password's file is set for every run, as an operator would."""
    monkeypatch.setenv(*request.param.format(password).split("="))
    return password


def decrypted(file: Path, password: Path) -> dict[str, str]:
    assert file.read_text().startswith("$ANSIBLE_VAULT")
    found: dict[str, str] = yaml.safe_load(ansible("ansible-vault", "view", "--vault-password-file", password, file))
    return found


def test_it_encrypts_what_it_makes_once_a_password_file_is_set(tmp_path: Path, vault: Path) -> None:
    file = tmp_path / "site.secrets.yml"
    output = run(file)

    assert "failed=0" in output
    assert set(decrypted(file, vault)) == set(yaml.safe_load(DEFAULTS.read_text())["secrets_names"])
    assert file.stat().st_mode & 0o777 == 0o600
    assert "changed=0" in run(file)


def test_it_encrypts_what_there_is_once_a_password_file_is_set(made: Path, vault: Path) -> None:
    before = yaml.safe_load(made.read_text())

    output = run(made, "-vvv", "--diff")

    assert decrypted(made, vault) == before
    assert [value for value in before.values() if value in output] == []


def test_it_adds_to_an_encrypted_file(made: Path, vault: Path) -> None:
    before = yaml.safe_load(made.read_text())
    run(made)

    run(made, "-e", '{"secrets_names": ["secret_new"]}')

    after = decrypted(made, vault)
    assert {name: after[name] for name in before} == before
    assert len(after["secret_new"]) == 50


def test_a_file_that_was_encrypted_by_hand_serves(made: Path, password: Path) -> None:
    ansible("ansible-vault", "encrypt", "--vault-password-file", password, made)

    output = run(made, "--vault-password-file", password)

    assert "changed=0" in output
    assert "failed=0" in output


def test_it_adds_nothing_that_it_cannot_encrypt(made: Path, password: Path) -> None:
    ansible("ansible-vault", "encrypt", "--vault-password-file", password, made)
    before = made.read_text()

    output = run(made, "--vault-password-file", password, "-e", '{"secrets_names": ["secret_new"]}')

    assert "is encrypted and lacks secret_new, which this version needs." in " ".join(output.split())
    assert made.read_text() == before


@pytest.mark.parametrize(
    ("inventory", "secrets"),
    [
        ("app.example.org/", "app.example.org.secrets.yml"),
        ("app.example.com", "app.example.com.secrets.yml"),
        ("app.example.org/hosts.yml", "app.example.org.secrets.yml"),
        ("prod.ini", "prod.secrets.yml"),
        ("staging.yml", "staging.secrets.yml"),
    ],
)
def test_every_inventory_has_its_own(tmp_path: Path, inventory: str, secrets: str) -> None:
    hosts = tmp_path / (inventory if inventory.endswith((".yml", ".ini")) else f"{inventory}/hosts.yml")
    hosts.parent.mkdir(exist_ok=True)
    hosts.write_text("vm\n" if hosts.suffix == ".ini" else "all: { hosts: { vm: } }")

    output = ansible("ansible", "-i", f"{tmp_path}/{inventory}", "vm", "-m", "debug", "-a", "var=site_secrets_file")

    assert f"site_secrets_file: {tmp_path}/{secrets}\n" in output
