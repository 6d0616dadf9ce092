"""A developer's first hour: `make dev` in a fresh clone, with Python and nothing else."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.dev.conftest import Run, Site
from tests.dev.tree import environment
from tests.e2e.conftest import DESKTOP, Page
from tests.integration.servers import Process, free_port, wait_until

HARMFUL = "DEBUG=false\nDATABASE_URL=postgres://nobody@127.0.0.1:1/nothing\nCELERY_BROKER_URL=redis://127.0.0.1:1/0\n"
SLOW = """

@shared_task
def sleep() -> None:
    import time
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def site(tree: Path, run: Run) -> Site:
    (tree / ".env").write_text(HARMFUL)
    return run()


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_it_installs_nothing_but_what_it_runs(site: Site, tree: Path) -> None:
    assert (tree / ".venv/bin/honcho").exists()
    assert not (tree / ".venv/bin/ansible").exists()


def test_it_says_where_everything_is(site: Site) -> None:
    output = site.output()

    assert f"Log in     {site.url}/accounts/login/  (user demo, password demo)" in output
    assert f"Inbox      {site.url}/inbox/" in output


def test_the_demo_account_logs_in_and_may_look_into_the_admin(site: Site) -> None:
    browser = site.browser()

    assert "Hello, demo" in browser.submit("/accounts/login/", username="demo", password="demo").text
    assert browser.get("/admin/core/deadletter/").status_code == 200


def test_the_mail_of_a_registration_is_in_the_inbox(site: Site) -> None:
    address = site.register()

    wait_until(lambda: address in site.inbox(), "the welcome mail is in the inbox")


def test_a_browser_shows_the_mail(site: Site, page: Page) -> None:
    address = site.register()
    wait_until(lambda: address in site.inbox(), "the welcome mail is in the inbox")
    page.resize(DESKTOP)

    latest = site.browser().get("/inbox/sent/latest/").json()
    page.open(f"{site.url}/inbox/sent/{latest['latest']}/")
    page.driver.switch_to.frame(page.find("iframe"))

    assert page.find("a[href$='/accounts/login/']").text == "Log in here"
    page.driver.switch_to.default_content()
    page.photograph("inbox-of-make-dev")


def test_a_changed_file_is_taken_up_at_once_and_tasks_go_on(site: Site, tree: Path) -> None:
    assert site.status("/hello/") == 404
    change(tree / "app/config/urls.py", "urlpatterns = [", 'urlpatterns = [\n    path("hello/", require_safe(health)),')

    wait_until(lambda: site.status("/hello/") == 200, "the new page is there")
    address = site.register()
    wait_until(lambda: address in site.inbox(), "the welcome mail is in the inbox")


def test_ctrl_c_ends_it_at_once_also_while_a_task_runs(site: Site, tree: Path) -> None:
    with (tree / "app/core/tasks.py").open("a") as file:
        file.write(SLOW)
    views = tree / "app/accounts/views.py"
    change(views, "class RegisterView", "from core.tasks import sleep\nsleep.delay()\n\n\nclass RegisterView")
    wait_until(lambda: "Task core.tasks.sleep[" in site.output(), "the task is received")

    site.press_ctrl_c()
    begun = time.monotonic()
    wait_until(lambda: not site.left(), "nothing of it is left", 5)
    assert time.monotonic() - begun < 2


def test_the_second_start_takes_few_seconds(tree: Path, run: Run) -> None:
    change(tree / "app/accounts/views.py", "sleep.delay()", "")
    begun = os.times()

    site = run()
    site.press_ctrl_c()
    wait_until(lambda: not site.left(), "nothing of it is left", 5)
    site.popen.wait(5)

    # Of processor time, since a busy machine has others to serve as well.
    now = os.times()
    spent = now.children_user + now.children_system - begun.children_user - begun.children_system
    assert 0 < spent < 8


@pytest.mark.parametrize("seconds", [0.3, 0.6, 0.9, 1.3, 1.8])
def test_ctrl_c_while_it_starts_is_quiet(site: Site, tmp_path: Path, seconds: float) -> None:
    argv = ["make", "dev", f"PORT={free_port()}"]
    started = Process(argv, tmp_path / "log", environment(), site.tree)
    time.sleep(seconds)

    started.send(signal.SIGINT)
    started.popen.wait(10)

    output = started.output()
    # For a few milliseconds Python starts, and nothing of this project runs that could be quiet.
    assert "Traceback" not in output or "Failed to import the site module" in output
    wait_until(lambda: not site.left(), "nothing of it is left", 5)


def test_with_redis_each_process_stands_alone_and_all_end_together(tree: Path, run: Run) -> None:
    # As in a fresh clone, in which no mail has made it yet.
    shutil.rmtree(tree / ".inbox", ignore_errors=True)
    site = run("BROKER=redis")
    wait_until(lambda: site.output().count(" is ready and consumes ") == 1, "the worker is ready")
    wait_until(lambda: list(tree.glob("celerybeat-schedule*")), "Beat keeps its schedule")
    assert "Traceback" not in site.output()
    address = site.register()
    wait_until(lambda: address in site.inbox(), "the welcome mail is in the inbox")
    assert any("redis-server" in line for line in site.left())

    change(tree / "app/core/mails.py", "Welcome to Django SaaS", "Welcome to the change")
    wait_until(lambda: site.output().count(" is ready and consumes ") == 2, "the worker is ready again")
    site.register()
    wait_until(lambda: "Welcome to the change" in site.inbox(), "the changed mail is in the inbox")

    site.press_ctrl_c()
    wait_until(lambda: not site.left(), "nothing of it is left", 10)


def test_with_redis_a_closed_terminal_ends_all_of_it_too(run: Run) -> None:
    site = run("BROKER=redis")

    site.send(signal.SIGHUP)

    wait_until(lambda: not site.left(), "nothing of it is left", 10)


def refusal(tree: Path, *options: str, target: str = "dev", **changes: str) -> str:
    command = ["make", target, *options]
    result = subprocess.run(command, cwd=tree, env=environment() | changes, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    return result.stderr


def test_another_broker_is_refused(tree: Path) -> None:
    assert "BROKER is memory or redis, not “rabbit”." in refusal(tree, "BROKER=rabbit")
    assert "BROKER is memory or redis, not “redis memory”." in refusal(tree, "BROKER=redis memory")


@pytest.mark.parametrize("port", ["", "0", "abc", "65536"])
def test_a_port_that_is_none_is_refused_by_name(tree: Path, port: str) -> None:
    assert f"PORT is a number from 1 to 65535, not “{port}”" in refusal(tree, f"PORT={port}")


@pytest.mark.parametrize("broker", ["memory", "redis"])
def test_a_port_that_is_taken_is_named_with_another(tree: Path, broker: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        # With Redis the port of the site is free, and its neighbour is not.
        port = taken - (broker == "redis")
        said = refusal(tree, f"BROKER={broker}", f"PORT={port}")

    assert f"Port {taken} cannot be had: Address already in use." in said
    assert "or take another: make dev PORT=8" in said


def test_what_is_no_database_is_named_with_the_remedy(tree: Path, tmp_path: Path) -> None:
    broken = tmp_path / "db.sqlite3"
    broken.write_text("This is no database.")

    said = refusal(tree, f"PORT={free_port()}", f"DATABASE_URL=sqlite:///{broken}")

    assert f"CommandError: {broken} cannot be read (file is not a database). Delete it, and it is made anew." in said
    assert "Traceback" not in said


def test_without_a_redis_server_it_says_how_to_get_one(tree: Path, tmp_path: Path) -> None:
    for name in ("make", "bash", "expr", "date", "env"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")

    assert "There is no redis-server here: install it (Debian: apt-get install redis-server" in refusal(
        tree, "BROKER=redis", PATH=str(tmp_path)
    )


def test_a_python_that_makes_no_environments_is_told_about(tmp_path: Path, tree: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    (tree / ".venv").rename(tmp_path / "venv")

    said = refusal(tree, f"PYTHON={python}")
    (tmp_path / "venv").rename(tree / ".venv")

    assert f"{python} is no Python that makes virtual environments: install what does" in said


def test_a_python_that_is_not_there_is_told_about(tmp_path: Path, tree: Path) -> None:
    (tree / ".venv").rename(tmp_path / "venv")

    said = refusal(tree, "PYTHON=/none/python3", target="setup")
    (tmp_path / "venv").rename(tree / ".venv")

    assert "There is no /none/python3: name a Python 3.11 or newer that there is" in said


def test_a_python_that_is_too_old_is_told_about(tmp_path: Path, tree: Path) -> None:
    python = tmp_path / "python"
    old = "import sys; sys.version_info = (3, 10, 2); exec(sys.argv[1])"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{old}' \"$2\"\n")
    python.chmod(0o755)
    (tree / ".venv").rename(tmp_path / "venv")

    said = refusal(tree, f"PYTHON={python}")
    (tmp_path / "venv").rename(tree / ".venv")

    assert f"{python} is Python 3.10, and 3.11 or newer is needed: make dev PYTHON=/path/to/python3" in said


def test_make_lock_without_its_tool_says_where_it_comes_from(tree: Path) -> None:
    assert "There is no /none/uv yet: make setup puts it there." in refusal(tree, "BIN=/none", target="lock")
