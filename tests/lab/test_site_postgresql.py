"""What each role may do at the deployed database."""

import pytest

from lab.labs import Lab
from tests.lab.hosts import Ended, do, shell
from tests.lab.site import deploy

pytestmark = pytest.mark.usefixtures("first_run")


def sql(lab: Lab, statement: str, role: str = "postgres") -> Ended:
    return shell(lab, f"runuser -u postgres -- psql saas -qtAc 'SET ROLE {role}' -c \"{statement}\"")


@pytest.mark.parametrize("role", ["saas_web", "saas_web_b", "saas_worker", "saas_worker_b"])
@pytest.mark.parametrize(
    "statement", ["CREATE TABLE mine (id int)", "DROP TABLE core_taskrecord", "TRUNCATE accounts_user"]
)
def test_who_serves_changes_rows_and_no_tables(lab: Lab, role: str, statement: str) -> None:
    assert "ERROR" in sql(lab, statement, role).text
    assert sql(lab, "SELECT count(*) FROM core_taskrecord", role).code == 0


LOOKS = [
    "SELECT count(*) FROM django_migrations WHERE app = 'core'",
    "SELECT count(*) FROM core_migrationnote WHERE migration LIKE 'core.%'",
]
WRITES = [
    "INSERT INTO django_migrations (app, name, applied) VALUES ('core', 'none', now())",
    "UPDATE django_migrations SET name = 'none' WHERE app = 'core'",
    "DELETE FROM django_migrations WHERE app = 'core'",
    "INSERT INTO core_migrationnote VALUES ('core.none', '', '')",
    "UPDATE core_migrationnote SET harm = ''",
    "DELETE FROM core_migrationnote",
]


@pytest.mark.parametrize("role", ["saas_web", "saas_web_b", "saas_worker", "saas_worker_b"])
@pytest.mark.parametrize("statement", WRITES)
def test_which_migrations_there_are_is_the_owner_s_to_say(lab: Lab, role: str, statement: str) -> None:
    assert "permission denied for table" in sql(lab, statement, role).text
    for look in LOOKS:
        assert int(sql(lab, look, role).text) > 0


def test_who_migrates_owns_the_tables(lab: Lab) -> None:
    owners = sql(lab, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")

    assert owners.text.split() == ["saas_owner"]


def test_what_the_owner_logs_in_with_is_taken_from_a_host_that_no_longer_migrates(lab: Lab) -> None:
    try:
        deploy(lab, "app", app_peers=["elsewhere", "saas"])

        assert "migrate.env" not in do(lab, "ls /etc/saas").split()
    finally:
        deploy(lab, "app")

    assert "migrate.env" in do(lab, "ls /etc/saas").split()


def test_the_web_s_statements_are_bounded(lab: Lab) -> None:
    password = "sed -n 's/^DATABASE_URL=//p' /etc/saas/gunicorn.env"

    assert do(lab, f'psql "$({password})" -tAc "SHOW statement_timeout"').strip() == "15s"


def test_nobody_comes_in_over_the_network_without_a_password(lab: Lab) -> None:
    assert "no password supplied" in shell(lab, "PGPASSWORD= psql -w -h 127.0.0.1 -U saas_web saas -c 'SELECT 1'").text


def test_its_memory_is_scaled_to_the_machine_s(lab: Lab) -> None:
    total = int(do(lab, "awk '/^MemTotal/ {print $2}' /proc/meminfo")) // 1024 // 64 * 64
    names = "'effective_cache_size', 'maintenance_work_mem', 'shared_buffers'"
    megabytes = "SELECT name, pg_size_bytes(current_setting(name)) / 1048576 FROM pg_settings"

    assert sql(lab, f"{megabytes} WHERE name IN ({names}) ORDER BY name").text.split() == [
        f"effective_cache_size|{max(256, total // 2)}",
        f"maintenance_work_mem|{max(32, total // 32)}",
        f"shared_buffers|{max(128, total // 8)}",
    ]


def test_passwords_are_kept_as_scram_connections_are_counted_and_second_logins_are_shut(lab: Lab) -> None:
    known = (
        "SELECT rolname, rolcanlogin, rolconnlimit, left(rolpassword, 13) FROM pg_authid"
        " WHERE rolname ~ '^saas_' ORDER BY rolname"
    )

    assert sql(lab, known).text.split() == [
        *("saas_owner|t|5|SCRAM-SHA-256", "saas_web|t|200|SCRAM-SHA-256", "saas_web_b|f|200|"),
        *("saas_worker|t|200|SCRAM-SHA-256", "saas_worker_b|f|200|"),
    ]


def test_pages_carry_checksums(lab: Lab) -> None:
    assert sql(lab, "SHOW data_checksums").text.strip() == "on"
