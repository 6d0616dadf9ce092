"""What each user of the deployed broker may do."""

import json
from typing import Any

import pytest
import yaml

from lab import machine, playbook, proof
from lab.labs import Lab
from tests.lab.hosts import do
from tests.lab.site import deploy

KEYS = ("saas:test:a", "saas:test:b")
# Its unit's view of the file system; seen from outside, since nothing but redis-server can be run in there.
AS_REDIS = "/proc/$(systemctl show --property=MainPID --value redis-server)/root"
# Not /run itself: Debian's unit leaves it open, and it is root's.
FORBIDDEN = ["/etc", "/etc/redis", "/root", "/usr/bin", "/var/lib"]
ALLOWED = ["/run/redis", "/var/lib/redis", "/var/log/redis"]


def secrets(lab: Lab) -> dict[str, str]:
    known: dict[str, str] = yaml.safe_load(lab.secrets.read_text(encoding="utf-8"))
    return known


def redis(lab: Lab, user: str, password: str, *command: str) -> str:
    script = 'REDISCLI_AUTH=$1; export REDISCLI_AUTH; user=$2; shift 2; redis-cli --user "$user" "$@" 2>&1'
    return machine.execute(lab, "saas", "sh", "-c", script, "sh", password, user, *command)


def test_nobody_comes_in_without_a_password(lab: Lab, first_run: playbook.Progress) -> None:
    assert "NOAUTH" in machine.execute(lab, "saas", "redis-cli", "get", "any")


@pytest.mark.parametrize(
    "command", [("flushall",), ("keys", "*"), ("config", "get", "*"), ("shutdown",), ("set", "any", "1")]
)
def test_the_application_may_do_its_work_alone(
    lab: Lab, first_run: playbook.Progress, command: tuple[str, ...]
) -> None:
    assert "NOPERM" in redis(lab, "saas", secrets(lab)["secret_redis_password"], *command)


@pytest.mark.parametrize(
    "command",
    [
        ("del", "email"),
        ("lpush", "celery", "{}"),
        ("get", "saas:beat:tick"),
        ("del", "unacked"),
        ("script", "flush"),
        ("function", "flush"),
    ],
)
def test_flower_may_look_at_queues_alone(lab: Lab, first_run: playbook.Progress, command: tuple[str, ...]) -> None:
    assert "NOPERM" in redis(lab, "flower", secrets(lab)["secret_redis_flower_password"], *command)


def test_flower_cannot_lead_messages_elsewhere(lab: Lab, first_run: playbook.Progress) -> None:
    password = secrets(lab)["secret_redis_flower_password"]

    assert "NOPERM" in redis(lab, "flower", password, "sadd", "_kombu.binding.email", "elsewhere")


def test_what_flower_asks_the_workers_could_be_a_command(lab: Lab, first_run: playbook.Progress) -> None:
    """A limit that docs/secrets.md tells."""
    people = secrets(lab)["secret_redis_operations_password"]
    publish = ("acl", "dryrun", "flower", "publish", "/0.celery.pidbox", "shutdown")

    assert redis(lab, "operations", people, *publish).strip() == "OK"


def test_flower_hears_from_the_workers(lab: Lab, first_run: playbook.Progress) -> None:
    people = secrets(lab)["secret_redis_operations_password"]
    redis(lab, "operations", people, "acl", "log", "reset")
    password = secrets(lab)["secret_flower_password"]

    def heard() -> bool:
        answer = proof.visit(lab).browser.get("/flower/api/workers?refresh=true", auth=("flower", password))
        workers: dict[str, Any] = json.loads(answer.text)
        names = sorted(name.partition("@")[0] for name in workers)
        return names == ["celery", "email"] and all("active_queues" in worker for worker in workers.values())

    # It gives a worker one second to answer, which a busy machine may not have.
    assert proof.wait_for(heard, 60)
    assert redis(lab, "operations", people, "acl", "log").strip() == ""


def test_flower_knows_no_secret_of_the_application(lab: Lab, first_run: playbook.Progress) -> None:
    environment = do(lab, "cat /proc/$(systemctl show --property=MainPID --value flower)/environ")
    names = ("secret_django_key", "secret_database_worker_password", "secret_redis_password")

    assert "FLOWER_BASIC_AUTH" in environment
    assert [name for name in names if secrets(lab)[name] in environment] == []


def test_the_workers_answer_the_application(lab: Lab, first_run: playbook.Progress) -> None:
    command = "systemd-run --quiet --collect --wait --pipe --property=EnvironmentFile=/etc/saas/saas.env --uid=saas"
    inspect = (
        "--working-directory=/srv/saas/current/app /srv/saas/current/.venv/bin/celery -A config inspect ping --json"
    )

    answered = json.loads(machine.execute(lab, "saas", "sh", "-c", f"{command} {inspect}").splitlines()[-1])

    assert sorted(answered) == ["celery@saas", "email@saas"]


def test_a_restart_forgets_no_transaction(lab: Lab, first_run: playbook.Progress) -> None:
    password = secrets(lab)["secret_redis_password"]
    redis(lab, "saas", password, "eval", "redis.call('set', KEYS[1], 'a') redis.call('set', KEYS[2], 'b')", "2", *KEYS)

    machine.execute(lab, "saas", "systemctl", "restart", "redis-server")

    assert redis(lab, "saas", password, "mget", *KEYS).split() == ["a", "b"]
    redis(lab, "saas", password, "del", *KEYS)


def test_it_forgets_and_evicts_nothing(lab: Lab, first_run: playbook.Progress) -> None:
    people = secrets(lab)["secret_redis_operations_password"]
    wanted = {
        "maxmemory": str(256 * 2**20),
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "everysec",
    }

    found = {name: redis(lab, "operations", people, "config", "get", name).split()[-1] for name in wanted}

    assert found == wanted


def test_people_may_look_at_everything_and_change_it(lab: Lab, first_run: playbook.Progress) -> None:
    people = secrets(lab)["secret_redis_operations_password"]

    assert "saas" in redis(lab, "operations", people, "acl", "users")
    assert redis(lab, "operations", people, "set", "any", "1").strip() == "OK"
    assert redis(lab, "operations", people, "keys", "any").strip() == "any"
    assert redis(lab, "operations", people, "del", "any").strip() == "1"


@pytest.mark.parametrize(
    "command",
    [
        ("replicaof", "127.0.0.1", "1"),
        ("slaveof", "127.0.0.1", "1"),
        ("failover",),
        ("cluster", "info"),
        ("migrate", "127.0.0.1", "1", "any", "0", "1"),
        ("module", "list"),
        # Without the detour it says no by itself, whoever asks.
        ("acl", "dryrun", "operations", "debug", "sleep", "0"),
    ],
)
def test_nor_may_people_have_it_led_elsewhere_or_load_code(
    lab: Lab, first_run: playbook.Progress, command: tuple[str, ...]
) -> None:
    people = secrets(lab)["secret_redis_operations_password"]

    assert "has no permissions to run the" in redis(lab, "operations", people, *command)


def test_it_writes_where_it_must_and_nowhere_else(lab: Lab, first_run: playbook.Progress) -> None:
    """Above all not to /etc/redis, where a link of its own could lead root elsewhere."""
    file = f"{AS_REDIS}$folder/by-redis"
    tried = f"for folder in {' '.join(FORBIDDEN + ALLOWED)}; do touch {file} 2>&1 && echo $folder && rm {file}; done"

    said = do(lab, tried).splitlines()

    assert [line for line in said if line.startswith("/")] == ALLOWED
    assert sum(line.endswith(("Read-only file system", "Permission denied")) for line in said) == len(FORBIDDEN)


def test_root_leaves_nothing_where_it_may_write(lab: Lab, first_run: playbook.Progress) -> None:
    """Of the users that it was given while it ran, a file remembers when."""
    do(lab, "touch /etc/redis/saas.acl")
    deploy(lab, "redis")

    assert do(lab, "stat --format='%U %F' /run/saas-redis.acl.given") == "root regular empty file\n"
    assert do(lab, "find /run/redis -user root") == ""
