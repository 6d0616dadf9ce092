"""The roles keep to the project's rules."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Model

from config.logging import STRATEGIES
from core.models import MigrationNote

DEPLOY = Path(__file__).parents[2] / "deploy"
ROLES = sorted(path for path in (DEPLOY / "ansible/roles").iterdir() if path.is_dir())


def load(path: Path) -> dict[str, Any]:
    values: dict[str, Any] | None = yaml.safe_load(path.read_text()) if path.exists() else None
    return values or {}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_default_is_specified_and_every_optional_input_has_a_default(role: Path) -> None:
    options = load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    optional = {name for name, spec in options.items() if not spec.get("required")}

    assert optional == set(load(role / "defaults/main.yml"))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_input_has_prose_that_ends_as_a_sentence(role: Path) -> None:
    options = load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]

    assert [name for name, spec in options.items() if not spec["description"].endswith(".")] == []


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_role_has_a_scenario_of_its_own_tag_or_playbook(role: Path) -> None:
    provisioner = load(role / "molecule/default/molecule.yml")["provisioner"]

    if role.name == "release":
        assert provisioner["playbooks"]["converge"].endswith("/deploy.yml")
    else:
        assert provisioner["env"]["ANSIBLE_RUN_TAGS"] == role.name
    assert (role / f"molecule/default/tests/test_{role.name}.py").exists()


def test_site_yml_runs_every_role_but_that_of_the_other_playbooks() -> None:
    plays = yaml.safe_load((DEPLOY / "ansible/site.yml").read_text())
    used = {role["role"] for play in plays for role in play.get("roles", [])}

    assert used == {role.name for role in ROLES} - {"release"}


def test_every_role_of_it_has_its_name_as_its_tag_but_for_those_that_always_run() -> None:
    plays = yaml.safe_load((DEPLOY / "ansible/site.yml").read_text())
    tags = {role["role"]: role["tags"] for play in plays for role in play.get("roles", [])}

    assert tags == {name: ["always"] if name in ("preflight", "secrets") else [name] for name in tags}


def test_who_installs_packages_waits_for_a_vm_that_is_busy_with_its_first_updates() -> None:
    """Such a run holds apt's lock for longer than the minute that the module waits by itself."""
    plays = yaml.safe_load((DEPLOY / "ansible/site.yml").read_text())
    installing = {
        role.name for role in ROLES if any("ansible.builtin.apt:" in file.read_text() for file in role.glob("tasks/*"))
    }
    waiting = {
        role["role"]
        for play in plays
        for role in play.get("roles", [])
        if play.get("module_defaults") == {"ansible.builtin.apt": {"lock_timeout": 600}}
    }

    assert {"base", "nginx"} <= installing <= waiting


@pytest.mark.parametrize("playbook", ["deploy", "rollback"])
def test_those_run_it(playbook: str) -> None:
    play = yaml.safe_load((DEPLOY / f"ansible/{playbook}.yml").read_text())[-1]

    assert [task["ansible.builtin.include_role"] for task in play["tasks"]] == [
        {"name": "release", "tasks_from": playbook}
    ]
    # One host that fails stops all, before any has switched.
    assert play["any_errors_fatal"]


def test_preflight_checks_the_inputs_of_every_other_role() -> None:
    checked = load(DEPLOY / "ansible/roles/preflight/vars/main/inputs.yml")["__preflight_roles"]

    assert checked == [role.name for role in ROLES if role.name != "preflight"]


def test_preflight_counts_the_processes_that_there_will_be() -> None:
    default = load(DEPLOY / "ansible/roles/gunicorn/defaults/main.yml")["gunicorn_workers"]
    counted = load(DEPLOY / "ansible/roles/preflight/vars/main/together.yml")["__preflight_web_takes"]

    assert default == "{{ ansible_facts.processor_vcpus | int + 1 }}"
    assert "host.ansible_facts.processor_vcpus | default(0) | int + 1" in counted


def test_the_broker_knows_the_queues_of_the_application() -> None:
    known = load(DEPLOY / "ansible/roles/redis/defaults/main.yml")["redis_queues"]

    assert known == [queue.name for queue in settings.CELERY_TASK_QUEUES]


def test_everybody_uses_the_database_that_is_made() -> None:
    tasks = yaml.safe_load((DEPLOY / "ansible/roles/postgresql/tasks/main.yml").read_text())
    made = [
        task["community.postgresql.postgresql_db"]["name"]
        for task in tasks
        if "community.postgresql.postgresql_db" in task
    ]
    environments = "".join(file.read_text() for file in DEPLOY.glob("ansible/roles/*/templates/etc/saas/*.env.j2"))
    used = re.findall(r"^DATABASE_URL=.*/(.*?){{ site_database_options }}$", environments, re.MULTILINE)

    assert used == made * 3


@pytest.mark.parametrize("model", [MigrationRecorder.Migration, MigrationNote])
def test_a_table_of_migrations_is_the_one_that_django_would_make(model: type[Model]) -> None:
    tables = load(DEPLOY / "ansible/roles/postgresql/vars/main.yml")["__postgresql_migrations"]
    postgresql = DatabaseWrapper({**connection.settings_dict, "NAME": "saas"})

    made, _ = postgresql.schema_editor(collect_sql=True, atomic=False).table_sql(model)

    name = model._meta.db_table
    assert made == f'CREATE TABLE "{name}" ({", ".join(tables[name])})'


def test_who_is_sent_to_the_journal_of_deploys_sees_root_s_entries_alone() -> None:
    """Anybody on a host may write there by that name."""
    files = [*DEPLOY.glob("ansible/roles/*/*/*.yml"), *DEPLOY.parent.glob("docs/*.md")]
    said = [re.findall("journalctl -t saas-deploy(?: _UID=0)?", file.read_text()) for file in files]

    assert {command for commands in said for command in commands} == {"journalctl -t saas-deploy _UID=0"}


def test_nobody_holds_a_connection_of_nginx_for_long() -> None:
    """Left to itself, nginx waits for a minute and more."""
    site = (DEPLOY / "nginx/saas.conf.j2").read_text()
    every = (DEPLOY / "nginx/snippets/saas-request.conf").read_text()
    bounds = dict(re.findall(r"^(\w+)_timeout (\d+)s;", every, re.MULTILINE))

    assert set(bounds) == {"client_header", "client_body", "send", "keepalive"}
    assert max(map(int, bounds.values())) <= 30
    assert site.count("server {") == site.count("    include snippets/saas-request.conf;")


def test_an_inventory_can_choose_every_log_strategy() -> None:
    assert load(DEPLOY / "ansible/roles/preflight/defaults/main.yml")["preflight_log_strategies"] == list(STRATEGIES)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_root_runs_nothing_of_a_release(role: Path) -> None:
    """Nor the module for pip, which runs the environment's own Python."""
    tasks = "".join(file.read_text() for file in role.glob("tasks/*.yml"))

    assert "ansible.builtin.pip:" not in tasks
    assert ".venv/bin" not in tasks
