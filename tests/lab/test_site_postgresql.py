"""What each role may do at the deployed database."""

import pytest

from lab.labs import Lab
from tests.lab.hosts import Ended, do, shell

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


def test_who_migrates_owns_the_tables(lab: Lab) -> None:
    owners = sql(lab, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")

    assert owners.text.split() == ["saas_owner"]


def test_the_web_s_statements_are_bounded(lab: Lab) -> None:
    password = "sed -n 's/^DATABASE_URL=//p' /etc/saas/gunicorn.env"

    assert do(lab, f'psql "$({password})" -tAc "SHOW statement_timeout"').strip() == "15s"


def test_nobody_comes_in_over_the_network_without_a_password(lab: Lab) -> None:
    assert "no password supplied" in shell(lab, "PGPASSWORD= psql -w -h 127.0.0.1 -U saas_web saas -c 'SELECT 1'").text


def test_pages_carry_checksums(lab: Lab) -> None:
    assert sql(lab, "SHOW data_checksums").text.strip() == "on"
