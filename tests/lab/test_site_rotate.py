"""All secrets get new values under visitors who do not notice, after a first run that a disordered Redis stopped."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import requests
import yaml

from lab import machine, paths, playbook, proof, snapshot
from lab.labs import Lab
from lab.shell import LabError
from lab.shell import run as command
from tests.lab import releases
from tests.lab.hosts import do, wait_until_shown
from tests.lab.rotation import LOGINS, NAMES, Outcome, Secrets, accepted, known, rotate, run, under_visitors

# A reload is a change of state.
UNTOUCHED = (
    "systemctl show --property=ExecMainStartTimestamp --value redis-server;"
    " systemctl show --property=StateChangeTimestamp --value nginx"
)
WEB_URL = "sed -n 's/^DATABASE_URL=//p' /etc/saas/gunicorn.env"
WEB_PASSWORD = "secret_database_web_password"
HELD = "journalctl --unit saas-deploy.service --lines=1 --output=short-unix --no-pager"
FOREIGN = "ACL SETUSER operations resetpass >another"


def tool(lab: Lab, *arguments: str) -> str:
    return command([str(paths.BIN / "ansible-vault"), *arguments, str(lab.secrets)])


def redis(lab: Lab, *lines: str) -> str:
    return machine.execute(lab, "saas", "redis-cli", stdin="".join(f"{line}\n" for line in lines))


@dataclass
class Rotation:
    old: Secrets
    guest: proof.Visit
    stopped: str = ""
    accepted_then: set[str] = field(default_factory=set)
    untouched: str = ""
    ended: float = 0
    held: str = ""
    said: str = ""
    new: Secrets = field(default_factory=dict)
    mode: int = 0
    encrypted: bool = False
    outcome: Outcome | None = None


def begun(lab: Lab) -> Rotation:
    rotation = Rotation(known(lab), proof.visit(lab))
    proof.an_account_is_registered(rotation.guest)
    proof.signing_in_shows_home(rotation.guest)
    return rotation


def stop_at_redis(lab: Lab, rotation: Rotation) -> None:
    """Somebody has set another password there by hand."""
    redis(lab, f"AUTH operations {rotation.old['secret_redis_operations_password']}", FOREIGN)
    with pytest.raises(LabError) as error:
        run(lab, "rotate-secrets.yml", rotate="secret_redis_password,secret_database_web_password")
    rotation.stopped = " ".join(str(error.value).split())
    rotation.accepted_then = accepted(lab, rotation.old)
    proof.the_welcome_mail_arrives(rotation.guest)
    do(lab, "systemctl restart redis-server")
    wait_until_shown(lab, "redis-cli PING 2>&1 || true", "NOAUTH")
    rotation.untouched = do(lab, UNTOUCHED)


def rotate_all(lab: Lab, debian: str, rotation: Rotation) -> None:
    def work() -> None:
        rotate(lab, *NAMES)
        rotation.ended = time.time()

    rotation.outcome = under_visitors(lab, debian, work)
    rotation.held = do(lab, HELD)


@pytest.fixture(scope="module")
def rotation(lab: Lab, first_run: playbook.Progress, debian: str) -> Rotation:
    run(lab, "deploy.yml", release=releases.release("1"))
    found = begun(lab)
    password = lab.directory / "vault-password"
    password.write_text("open sesame", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(password))
        stop_at_redis(lab, found)
        rotate_all(lab, debian, found)
        found.said = (lab.directory / "rotate-secrets.yml.log").read_text(encoding="utf-8")
        found.encrypted = lab.secrets.read_text(encoding="utf-8").startswith("$ANSIBLE_VAULT")
        found.mode = lab.secrets.stat().st_mode & 0o777
        found.new = yaml.safe_load(tool(lab, "view"))
        # As whoever comes next expects it.
        tool(lab, "decrypt")
    return found


def test_it_stops_before_a_client_moves_when_redis_does_not_take_its_new_users(rotation: Rotation) -> None:
    assert "Restart it by hand, with systemctl restart redis-server" in rotation.stopped
    # All but the one that was changed by hand.
    assert rotation.accepted_then == set(NAMES) - {"secret_django_key", "secret_redis_operations_password"}


def test_nobody_notices(rotation: Rotation) -> None:
    assert rotation.outcome
    assert rotation.outcome.noticed == []


def test_neither_is_redis_started_again_nor_nginx_reloaded(lab: Lab, rotation: Rotation) -> None:
    assert do(lab, UNTOUCHED) == rotation.untouched


def test_the_old_values_are_refused_and_the_new_ones_accepted(lab: Lab, rotation: Rotation) -> None:
    assert [name for name in NAMES if rotation.new[name] == rotation.old[name]] == []
    assert accepted(lab, rotation.old) == set()
    assert accepted(lab, rotation.new) == set(NAMES) - {"secret_django_key"}


def test_the_web_s_other_login_is_as_bounded_as_the_first(lab: Lab, rotation: Rotation) -> None:
    login, bound = do(lab, f"psql \"$({WEB_URL})\" -tAc 'SELECT current_user' -c 'SHOW statement_timeout'").split()

    assert (login, bound) == (rotation.new["secret_database_logins"]["web"], "15s")
    assert login != rotation.old.get("secret_database_logins", LOGINS)["web"]


def test_who_was_signed_in_still_is(rotation: Rotation) -> None:
    assert rotation.guest.username in rotation.guest.browser.get("/").text


def test_deploys_are_held_off_until_it_ends(rotation: Rotation) -> None:
    assert "Deactivated successfully" in rotation.held
    assert float(rotation.held.split()[0]) > rotation.ended - 2


def test_the_file_stays_encrypted_and_its_owners(rotation: Rotation) -> None:
    assert (rotation.encrypted, oct(rotation.mode)) == (True, "0o600")


def test_no_value_is_printed_or_in_the_journal(lab: Lab, rotation: Rotation) -> None:
    journal = do(lab, "journalctl --no-pager --output=cat")

    values = {name: (rotation.old[name], rotation.new[name]) for name in NAMES}
    assert [name for name, both in values.items() if any(value in rotation.said for value in both)] == []
    assert [name for name, both in values.items() if any(value in journal for value in both)] == []


@contextmanager
def looking(guest: proof.Visit) -> Iterator[set[str]]:
    """Who is signed in looks at the home page twice a second; what came of it."""
    seen: set[str] = set()
    gone = threading.Event()

    def look() -> None:
        while not gone.wait(0.5):
            try:
                answer = guest.browser.get("/")
                seen.add("home" if guest.username in answer.text else proof.refusal(answer))
            except requests.RequestException as error:
                seen.add(repr(error))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        gone.set()
        thread.join()


def test_one_alone_is_rotated_and_the_others_stay(lab: Lab, rotation: Rotation) -> None:
    before = known(lab)

    with looking(rotation.guest) as seen:
        rotate(lab, WEB_PASSWORD)

    after = known(lab)
    assert seen == {"home"}
    assert [name for name in NAMES if after[name] != before[name]] == [WEB_PASSWORD]
    assert accepted(lab, before) == set(NAMES) - {"secret_django_key", WEB_PASSWORD}
    assert accepted(lab, after) == set(NAMES) - {"secret_django_key"}


def test_afterwards_nothing_is_left_to_do(lab: Lab, rotation: Rotation) -> None:
    assert run(lab, "site.yml", app_release_ref=snapshot.take(paths.ROOT)).changed == []


def test_it_is_refused_while_a_deploy_is_under_way(lab: Lab, rotation: Rotation) -> None:
    hold = "saas release hold 0123456789ab --by somebody@elsewhere; sleep 600"
    do(lab, f"systemd-run --quiet --collect --unit elsewhere sh -c '{hold}'")
    wait_until_shown(lab, "systemctl is-active saas-deploy.service || true", "active")
    before = lab.secrets.read_text(encoding="utf-8")

    with pytest.raises(LabError) as refusal:
        run(lab, "rotate-secrets.yml", rotate="secret_redis_password")

    sentence = " ".join(str(refusal.value).split())
    assert "saas is in other hands (deploy of 0123456789ab by somebody@elsewhere)" in sentence
    assert lab.secrets.read_text(encoding="utf-8") == before
    do(lab, "systemctl stop elsewhere.service")
    wait_until_shown(lab, "systemctl is-active saas-deploy.service || true", "inactive")
