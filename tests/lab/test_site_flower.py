"""Flower where the inventory lets it command the workers; test_site_nginx.py has it where it only looks."""

import json
import uuid
from collections.abc import Iterator

import pytest
import yaml

from lab import playbook, proof
from lab.labs import Lab
from tests.lab.faults import kept
from tests.lab.hosts import do
from tests.lab.site import deploy

SETTINGS, SITE = "/etc/saas/flower.env", "/etc/nginx/sites-available/saas.conf"


@pytest.fixture
def writable(lab: Lab, first_run: playbook.Progress) -> Iterator[None]:
    """Afterwards as before, and faster than by the playbook."""
    with kept(lab, SETTINGS), kept(lab, SITE):
        deploy(lab, "flower,nginx", flower_writable=True)
        yield
    do(lab, "systemctl restart flower; systemctl reload nginx")


def test_it_shows_no_secret_but_its_visitors_own(lab: Lab, first_run: playbook.Progress) -> None:
    browser = proof.visit(lab).browser
    values = yaml.safe_load(lab.secrets.read_text(encoding="utf-8"))
    browser.session.auth = ("flower", values["secret_flower_password"])

    def shown() -> str:
        return browser.get("/flower/api/workers?refresh=true").text + browser.get("/flower/worker/email@saas").text

    # Flower gives a worker one second to answer, which a busy machine may not have.
    assert proof.wait_for(lambda: shown().count("redis://saas:********@") >= 2, 60)
    text = shown()
    assert [name for name, value in values.items() if isinstance(value, str) and value in text] == []


def test_it_revokes_a_task_for_who_knows_its_password(lab: Lab, writable: None) -> None:
    browser, task = proof.visit(lab).browser, str(uuid.uuid4())
    revoke = f"{browser.site}flower/api/task/revoke/{task}"
    assert browser.session.post(revoke, timeout=30).status_code == 401
    browser.session.auth = ("flower", yaml.safe_load(lab.secrets.read_text(encoding="utf-8"))["secret_flower_password"])

    # It has just been started.
    assert proof.wait_for(lambda: browser.session.post(revoke, timeout=30).ok, 60)

    def knows(worker: str) -> bool:
        answer = browser.get(f"/flower/api/workers?refresh=true&workername={worker}")
        return answer.ok and task in json.loads(answer.text)[worker].get("revoked", [])

    # Flower gives a worker one second to answer, which a busy machine may not have.
    assert proof.wait_for(lambda: knows("celery@saas") and knows("email@saas"), 60)
