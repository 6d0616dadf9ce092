"""docs/backup.md, followed with real servers: its commands as they stand, but for who runs them."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.integration.conftest import Environment, Start, manage
from tests.integration.mailbox import Mailbox
from tests.integration.servers import ROOT, Postgres, Redis, program, server_folder

PAGE = (ROOT / "docs/backup.md").read_text()
DUMP, RESTORE = (re.findall(rf"sudo -u postgres ({tool} .*)", PAGE)[0] for tool in ("pg_dump", "pg_restore"))
# As the role postgresql leaves it.
LAID_OUT = """
CREATE ROLE saas_owner LOGIN PASSWORD 'secret' NOSUPERUSER NOCREATEDB NOCREATEROLE;
CREATE ROLE saas_web LOGIN PASSWORD 'secret' NOSUPERUSER NOCREATEDB NOCREATEROLE;
CREATE ROLE saas_worker LOGIN PASSWORD 'secret' NOSUPERUSER NOCREATEDB NOCREATEROLE;
CREATE DATABASE saas OWNER saas_owner ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8' TEMPLATE template0;
"""
PRIVILEGES = """
ALTER DEFAULT PRIVILEGES FOR ROLE saas_owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO saas_web, saas_worker;
ALTER DEFAULT PRIVILEGES FOR ROLE saas_owner GRANT SELECT, USAGE ON SEQUENCES TO saas_web, saas_worker;
"""
REGISTER = """
from accounts.models import User; from core.tasks import send_welcome_email
user = User.objects.create_user({name!r}, {name!r} + '@example.org')
send_welcome_email.delay(user_id=user.pk, login_url='https://example.org/')
"""


def url(server: Postgres, role: str) -> str:
    return f"postgres://{role}:secret@127.0.0.1:{server.port}/saas"


@pytest.fixture
def server() -> Iterator[Postgres]:
    with server_folder() as folder:
        server = Postgres(folder)
        for database, statements in {"postgres": LAID_OUT, "saas": PRIVILEGES}.items():
            connection = psycopg.connect(server.url.removesuffix("postgres") + database, autocommit=True)
            for statement in statements.strip().splitlines():
                connection.execute(statement)
            connection.close()
        yield server
        server.stop()


@pytest.fixture
def site(server: Postgres, environment: Environment) -> Environment:
    manage({**environment, "DATABASE_URL": url(server, "saas_owner")}, "migrate", "--verbosity=0")
    return {**environment, "DATABASE_URL": url(server, "saas_worker")}


def run(server: Postgres, command: str) -> None:
    tools = Path(program("pg_restore", "postgresql-client")).parent
    who = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "saas", "PGPASSWORD": server.password}
    variables = {**os.environ, **who, "PATH": f"{tools}:{os.environ['PATH']}"}
    argv = ["bash", "-c", command]
    done = subprocess.run(argv, cwd=server.cwd, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_copy_brings_back_its_accounts_its_roles_and_what_was_not_done(
    server: Postgres, redis_server: Redis, site: Environment, start: Start, mailbox: Mailbox
) -> None:
    manage(site, "shell", "-c", REGISTER.format(name="before"))
    run(server, DUMP)
    manage(site, "shell", "-c", REGISTER.format(name="after"))

    run(server, RESTORE)
    redis_server.client().flushall()

    names = "from accounts.models import User; print(*User.objects.values_list('username', flat=True))"
    for role in ("saas_web", "saas_worker"):
        assert manage({**site, "DATABASE_URL": url(server, role)}, "shell", "-v0", "-c", names) == "before\n"
    start("celery", "-A", "config", "worker", "-Q", "email,celery", "-c", "1", DATABASE_URL=site["DATABASE_URL"])
    assert mailbox.wait_for("before@example.org", "Welcome to Django SaaS", 180)
    assert mailbox.to("after@example.org") == []
    # Who migrates goes on doing so, and the others may use what is made.
    with psycopg.connect(url(server, "saas_owner")) as owner:
        owner.execute("CREATE TABLE later (id int)")
    with psycopg.connect(url(server, "saas_web")) as web:
        assert web.execute("SELECT count(*) FROM later").fetchone() == (0,)
