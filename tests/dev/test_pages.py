"""The pages that developers follow, followed: each block as it stands, in a copy of the tree."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from lab.browser import Browser
from tests.dev.conftest import Run, Site
from tests.dev.test_make_dev import change
from tests.dev.tree import copy_tree, environment
from tests.integration.servers import BIN, ROOT, wait_until


@pytest.fixture
def fresh(tree: Path) -> Path:
    for folder in ("app", "tests"):
        shutil.rmtree(tree / folder)
    copy_tree(tree)
    subprocess.run(["make", ".venv/.local"], cwd=tree, env=environment(), check=True, capture_output=True)
    return tree


def blocks(page: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


def follow(tree: Path, block: str) -> str:
    command = ["bash", "-euc", block]
    done = subprocess.run(command, cwd=tree, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def gone(browser: Browser, path: str, text: str) -> bool:
    try:
        return text not in browser.get(path).text
    except requests.ConnectionError:
        # The server reloads.
        return False


def check(tree: Path) -> None:
    """What `make check` says to it. The path is for mypy, which imports the settings."""
    follow(tree, f"{BIN}/ruff format --check app tests && {BIN}/ruff check app tests")
    follow(tree, f"PYTHONPATH=app:deploy:. {BIN}/mypy --no-error-summary app tests/unit")


def stop(site: Site) -> None:
    site.press_ctrl_c()
    wait_until(lambda: not site.left(), "nothing of it is left", 5)


def test_an_application_of_ones_own_takes_fewer_than_sixty_lines() -> None:
    assert len([line for block in blocks("own-app.md") for line in block.splitlines() if line]) < 60


def test_an_application_of_ones_own(fresh: Path, run: Run) -> None:
    site = run()
    for block in blocks("own-app.md"):
        follow(fresh, block)
    wait_until(lambda: site.status("/notes/") == 200, "the server has reloaded")
    browser = site.browser()
    browser.submit("/accounts/login/", username="demo", password="demo")

    browser.submit("/notes/", text="three small words")
    wait_until(lambda: "three small words (3 words)" in browser.get("/notes/").text, "the task has counted")
    change(fresh / "app/config/settings.py", "crontab(hour=3, minute=0)", "1.0")
    wait_until(lambda: gone(browser, "/notes/", "three small words"), "Beat has the note forgotten")
    stop(site)

    check(fresh)


def test_the_tutorial(fresh: Path, run: Run) -> None:
    first, *others = blocks("tutorial.md")
    assert first == "make dev\n"
    site = run()
    address = site.register()
    wait_until(lambda: address in site.inbox(), "the welcome mail is in the inbox")

    said = [follow(fresh, block) for block in others]

    assert "Ran 1 test" in said[-1]
    browser = site.browser()
    wait_until(lambda: site.status("/greet/") == 405, "the server has reloaded")
    assert "Greet me" in browser.submit("/accounts/login/", username="demo", password="demo").text
    token = {"csrfmiddlewaretoken": re.findall(r'value="(\w{64})"', browser.get("/").text)[0]}
    browser.session.post(f"{site.url}/greet/", data=token, headers={"Referer": site.url}, timeout=9)
    wait_until(lambda: "Hello again" in site.inbox(), "the greeting is in the inbox")
    stop(site)
    check(fresh)
