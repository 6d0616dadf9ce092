"""rotate-secrets.yml on a lab: which values open something, and what visitors notice of new ones."""

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from lab import console, machine, paths, playbook
from lab.labs import SINGLE, Lab
from tests.lab.answers import Summary, told
from tests.lab.release_audit import Mails, Tasks, audit_mails, audit_tasks, last_call
from tests.lab.site import ask
from tests.lab.traffic import site_name, traffic, wait

NAMES: list[str] = yaml.safe_load((paths.ANSIBLE / "roles/secrets/defaults/main.yml").read_text(encoding="utf-8"))[
    "secrets_names"
]
LOGINS = {"web": "saas_web", "worker": "saas_worker"}
BROKER_USERS = {"redis": "saas", "redis_flower": "flower", "redis_operations": "operations"}
PROBE = Path(__file__).with_name("logins.py").read_text(encoding="utf-8")
Secrets = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    summary: Summary
    mails: Mails
    tasks: Tasks

    @property
    def noticed(self) -> list[str]:
        """What failed, was lost or came twice; also, that there was nothing of it to count."""
        counts = {"requests": len(self.summary.answers), "mails": self.mails.arrived, "tasks": self.tasks.ended}
        wrong: dict[str, list[Any]] = {
            "lost": [*self.mails.lost, *self.tasks.lost],
            "twice": [*self.mails.twice, *self.tasks.begun_twice],
            "no": [what for what, number in counts.items() if not number],
        }
        return [*map(str, self.summary.failed), *(f"{how} {what}" for how, found in wrong.items() for what in found)]

    def __str__(self) -> str:
        return "\n".join(["", *told(self.summary), f"mails      {self.mails}", f"tasks      {self.tasks}"])


def run(lab: Lab, book: str, *options: str, **variables: str) -> playbook.Progress:
    return playbook.run(lab, book, lab.directory / f"{book}.log", *options, **variables)


def known(lab: Lab) -> Secrets:
    found: Secrets = yaml.safe_load(lab.secrets.read_text(encoding="utf-8"))
    return found


def rotate(lab: Lab, *names: str) -> None:
    with console.step("Rotating secrets", "rotate"):
        run(lab, "rotate-secrets.yml", "-vvv", "--diff", rotate=",".join(names))


def under_visitors(lab: Lab, debian: str, work: Callable[[], None]) -> Outcome:
    """A quarter of the usual ones: the playbook, too, is at work on this computer."""
    earlier = last_call(lab)
    with traffic(lab, debian, calm=4) as visitors:
        wait(visitors, 5)
        work()
        wait(visitors, 5)
        summary = visitors.end()
    mails = audit_mails(lab, summary.registered, visitors.run)
    outcome = Outcome(summary, mails, audit_tasks(lab, after=earlier))
    print(outcome)
    return outcome


def accepted(lab: Lab, secrets: Secrets, web: str = "") -> set[str]:
    """The names of the passwords that open something: at a web host those of the database, at a worker the broker's."""
    at = web or lab.machines[0]
    found = opened(lab, at, databases(lab, secrets))
    found |= opened(lab, "saas" if lab.machines == SINGLE else "worker1", brokers(lab, secrets))
    found |= {"flower"} if flower_opens(lab, at, secrets["secret_flower_password"]) else set()
    return {f"secret_{name}_password" for name in found}


def opened(lab: Lab, host: str, addresses: dict[str, str]) -> set[str]:
    python = "/srv/saas/current/.venv/bin/python"
    return set(json.loads(machine.execute(lab, host, python, "-B", "-c", PROBE, stdin=json.dumps(addresses))))


def databases(lab: Lab, secrets: Secrets) -> dict[str, str]:
    host, options = server(lab, "db1"), "" if lab.machines == SINGLE else "?sslmode=require&channel_binding=require"
    roles = {"owner": "saas_owner", **secrets.get("secret_database_logins", LOGINS)}
    return {
        f"database_{name}": f"postgresql://{role}:{secrets[f'secret_database_{name}_password']}@{host}/saas{options}"
        for name, role in roles.items()
    }


def brokers(lab: Lab, secrets: Secrets) -> dict[str, str]:
    host = server(lab, "redis1")
    return {name: f"redis://{user}:{secrets[f'secret_{name}_password']}@{host}" for name, user in BROKER_USERS.items()}


def server(lab: Lab, host: str) -> str:
    return "127.0.0.1" if lab.machines == SINGLE else lab.private_address_of(host)


def flower_opens(lab: Lab, web: str, password: str) -> bool:
    login = b64encode(f"flower:{password}".encode()).decode()
    return ask(lab, "/flower/", web, Host=site_name(lab), Authorization=f"Basic {login}").status == HTTPStatus.OK
