"""What a rotation makes of the file of secrets, without a machine; tests/lab/test_site_rotate.py has the servers."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.test_secrets import DEFAULTS, ansible, decrypted, run

NAMES: list[str] = yaml.safe_load(DEFAULTS.read_text())["secrets_names"]
WEB, KEY, REDIS = "secret_database_web_password", "secret_django_key", "secret_redis_password"
RETIRE = ""
# What rotate-secrets.yml does without the site: a name begins its rotation, none ends it.
PLAYBOOK = """
- hosts: all
  gather_facts: false
  vars: { secret_database_logins: { web: saas_web, worker: saas_worker } }
  tasks: [{ include_tasks: step.yml, loop: "{{ steps }}", loop_control: { loop_var: rotate, index_var: number } }]
"""
STEP = """
- { include_role: { name: secrets, tasks_from: asked }, when: "rotate != '' or always" }
- { include_role: { name: secrets, tasks_from: "{{ 'rotate' if rotate else 'retire' }}" } }
- copy: { src: "{{ site_secrets_file }}", dest: "{{ site_secrets_file }}.{{ number }}", decrypt: false }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "site.secrets.yml"
    run(file)
    return file


def rotate(file: Path, *steps: str, options: tuple[object, ...] = (), hosts: str = "vm,", always: bool = False) -> str:
    file.with_name("rotate.yml").write_text(PLAYBOOK)
    file.with_name("step.yml").write_text(STEP)
    values = {"site_secrets_file": str(file), "ansible_connection": "local", "steps": steps, "always": always}
    output = ansible("ansible-playbook", "-i", hosts, file.with_name("rotate.yml"), "-e", json.dumps(values), *options)
    return " ".join(output.split())


def after(file: Path, step: int) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path(f"{file}.{step}").read_text())
    return found


def test_the_old_values_are_kept_until_they_are_to_be_forgotten(file: Path) -> None:
    old = yaml.safe_load(file.read_text())

    rotate(file, f"{REDIS},{KEY}", RETIRE)

    begun, ended = after(file, 0), after(file, 1)
    assert {name for name in NAMES if begun[name] != old[name]} == {REDIS, KEY}
    assert begun["secret_previous"] == {REDIS: old[REDIS], KEY: old[KEY]}
    assert ended == begun | {"secret_previous": {}, "secret_django_key_fallbacks": [old[KEY]]}


def test_a_run_that_follows_an_interrupted_one_goes_on_with_its_values(file: Path) -> None:
    old = yaml.safe_load(file.read_text())

    rotate(file, REDIS, REDIS, WEB)

    assert after(file, 1) == after(file, 0)
    assert after(file, 2)["secret_previous"] == {REDIS: old[REDIS], WEB: old[WEB]}
    assert after(file, 2)[REDIS] == after(file, 0)[REDIS]


def test_two_earlier_keys_are_kept_and_logins_take_turns(file: Path) -> None:
    key = yaml.safe_load(file.read_text())[KEY]

    rotate(file, f"{KEY},{WEB}", RETIRE, f"{KEY},{WEB}", RETIRE, KEY, RETIRE)

    ended = [after(file, number) for number in (1, 3, 5)]
    keys = [key, *(step[KEY] for step in ended)]
    assert ended[-1]["secret_django_key_fallbacks"] == [keys[2], keys[1]]
    assert [step["secret_database_logins"]["web"] for step in ended] == ["saas_web_b", "saas_web", "saas_web"]
    assert ended[-1]["secret_database_logins"]["worker"] == "saas_worker"


@pytest.mark.parametrize(("names", "told"), [("", "Say which"), ("nonsense", "There is no secret nonsense. Say which")])
def test_it_lists_the_names_unless_it_is_told_known_ones(file: Path, names: str, told: str) -> None:
    output = rotate(file, names, always=True)

    assert told in output
    assert [name for name in NAMES if name not in output] == []


@pytest.mark.parametrize(("option", "named"), [("--limit=vm", "other"), ("--skip-tags=redis", "redis")])
@pytest.mark.parametrize("step", [REDIS, RETIRE])
def test_it_refuses_a_part_of_the_site(file: Path, step: str, option: str, named: str) -> None:
    before = file.read_text()

    output = rotate(file, step, options=(option,), hosts="vm,other,")

    assert f"every role, and {named} was left out" in output
    assert file.read_text() == before


def test_it_refuses_a_part_of_itself(tmp_path: Path) -> None:
    rotation = ("rotate-secrets.yml", "-e", f"rotate={REDIS}", "-e", f"site_secrets_file={tmp_path}/none.secrets.yml")

    output = ansible("ansible-playbook", "-i", "vm,", *rotation, "--tags=redis")

    assert "without --tags." in " ".join(output.split())


@pytest.mark.parametrize("option", ["--limit=vm", "--tags=redis", "--skip-tags=redis"])
def test_while_it_is_half_done_site_yml_is_refused_for_a_part(file: Path, option: str) -> None:
    whole = ("-i", "other,")
    rotate(file, f"{REDIS},{KEY}")

    refused = " ".join(run(file, *whole, option).split())

    assert f"and run rotate-secrets.yml again with {KEY},{REDIS}, without --limit" in refused
    assert "failed=0" in run(file, *whole)
    rotate(file, RETIRE)
    assert "failed=0" in run(file, *whole, option)


def test_it_refuses_a_site_without_secrets(tmp_path: Path) -> None:
    output = rotate(tmp_path / "none.secrets.yml", REDIS)

    assert "must hold the site's secrets: run site.yml first." in output


@pytest.fixture
def password(tmp_path: Path) -> Path:
    password = tmp_path / "password"
    password.write_text("open sesame")
    return password


def test_it_refuses_what_it_could_not_encrypt_again(file: Path, password: Path) -> None:
    ansible("ansible-vault", "encrypt", "--vault-password-file", password, file)
    before = file.read_text()

    output = rotate(file, REDIS, options=("--vault-password-file", password))

    assert "password in ANSIBLE_VAULT_PASSWORD_FILE" in output
    assert file.read_text() == before


def test_an_encrypted_file_stays_encrypted_and_nothing_is_printed(
    file: Path, password: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = yaml.safe_load(file.read_text())
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(password))
    ansible("ansible-vault", "encrypt", file)

    output = rotate(file, ",".join(NAMES), RETIRE, options=("-vvv", "--diff"))

    new = decrypted(file, password)
    assert decrypted(Path(f"{file}.0"), password)["secret_previous"] == old
    assert [name for name in NAMES if new[name] == old[name]] == []
    assert [name for name in NAMES if old[name] in output or new[name] in output] == []
    assert file.stat().st_mode & 0o777 == 0o600
