"""Old code on PostgreSQL, where a newer release has migrated."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.integration.conftest import Environment, manage
from tests.integration.servers import APP, ROOT, Postgres


@pytest.fixture
def shop(postgres: Postgres, environment: Environment) -> Iterator[Environment]:
    """A database of its own, for an application with the migrations of tests/shop."""
    with postgres.connect() as connection:
        connection.execute("CREATE DATABASE shop")
    yield {
        **environment,
        "DATABASE_URL": postgres.url.removesuffix("postgres") + "shop",
        "DJANGO_SETTINGS_MODULE": "tests.shop.settings",
        "PYTHONPATH": str(ROOT),
    }
    with postgres.connect() as connection:
        connection.execute("DROP DATABASE shop")


def knowing(shop: Environment, last: str, file: Path) -> Path:
    names = manage(shop, "schema", "list").split()
    file.write_text("\n".join(name for name in names if not name.startswith("shop.") or name[5:9] <= last))
    return file


def refusals(shop: Environment, file: Path, *options: str) -> tuple[int, list[str]]:
    command = [sys.executable, "manage.py", "schema", "check", "--against", str(file), *options]
    result = subprocess.run(command, cwd=APP, env=shop, capture_output=True, text=True, check=False)
    return result.returncode, result.stderr.splitlines()


def test_a_rollback_is_refused_where_the_insert_of_old_code_would_fail(shop: Environment, tmp_path: Path) -> None:
    manage(shop, "migrate", "shop", "0002", "--verbosity=0")
    insert = "INSERT INTO shop_item (name, nickname) VALUES ('a', 'b')"

    with psycopg.connect(shop["DATABASE_URL"]) as connection, pytest.raises(psycopg.errors.NotNullViolation):
        connection.execute(insert)
    code, (line,) = refusals(shop, knowing(shop, "0001", tmp_path / "old"))
    assert (code, "shop.0002_colour adds the column shop_item.colour, NOT NULL" in line) == (1, True)

    manage(shop, "migrate", "shop", "0003", "--verbosity=0")
    with psycopg.connect(shop["DATABASE_URL"]) as connection:
        connection.execute(insert)
    assert refusals(shop, knowing(shop, "0002", tmp_path / "old")) == (0, [])


def test_a_column_goes_in_two_releases(shop: Environment, tmp_path: Path) -> None:
    manage(shop, "migrate", "shop", "0004", "--verbosity=0")
    code, lines = refusals(shop, knowing(shop, "0003", tmp_path / "old"), "--planned")
    assert (code, "code without shop.0004_stop_using_nickname uses" in lines[0]) == (1, True)

    manage(shop, "migrate", "shop", "0005", "--verbosity=0")
    assert refusals(shop, knowing(shop, "0004", tmp_path / "old")) == (0, [])
    assert refusals(shop, knowing(shop, "0003", tmp_path / "old"))[0] == 1
