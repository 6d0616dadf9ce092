"""What the documents show, photographed while it is used. `make screenshots` keeps the pictures."""

import os
import re
from pathlib import Path

import pytest
from celery import Celery

from tests.dev.conftest import Run, Site
from tests.e2e.conftest import Page
from tests.integration.browser import PASSWORD
from tests.integration.servers import APP, BIN, Process, free_port, listening, tied, wait_until

SIZE, TALL, WIDE = (1000, 620), (1000, 940), (1440, 620)


@pytest.fixture(scope="module")
def site(run: Run) -> Site:
    return run("BROKER=redis")


@pytest.fixture(scope="module")
def broker(site: Site) -> str:
    return f"redis://localhost:{site.port + 1}/0"


@pytest.fixture
def visitor(page: Page, site: Site) -> Page:
    page.url = site.url
    page.driver.delete_all_cookies()
    page.resize(SIZE)
    page.driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
    return page


def log_in(page: Page, name: str, password: str) -> None:
    page.open("/accounts/login/")
    page.submit(username=name, password=password)


def test_somebody_registers_and_logs_in(visitor: Page, site: Site) -> None:
    visitor.resize(TALL)
    visitor.open("/accounts/register/")
    visitor.photograph("register")
    visitor.resize(SIZE)
    visitor.submit(username="ada", email="ada@example.org", password1=PASSWORD, password2=PASSWORD)
    assert visitor.find(".note").text == "Account created successfully! Please log in."
    visitor.photograph("registered")

    log_in(visitor, "ada", PASSWORD)
    assert visitor.heading == "Hello, ada"
    visitor.photograph("home")

    wait_until(lambda: "ada@example.org" in site.inbox(), "the welcome mail is in the inbox")
    visitor.open("/inbox/")
    visitor.find("a[href*='/inbox/']:not([href$='/inbox/'])").click()
    visitor.photograph("inbox")


def test_staff_sees_what_failed(visitor: Page, site: Site, broker: str) -> None:
    with Celery(broker=broker, set_as_current=False) as app:
        app.send_task("billing.tasks.send_invoice", kwargs={"invoice_id": 4711}, queue="celery")
    visitor.resize(WIDE)
    log_in(visitor, "demo", "demo")

    def shown() -> bool:
        visitor.open("/admin/core/deadletter/")
        return "billing.tasks.send_invoice" in visitor.driver.page_source

    wait_until(shown, "the dead letter is shown", 60)
    # Room for all columns.
    visitor.find("#toggle-nav-sidebar").click()
    visitor.photograph("dead-letters")


def test_flower_shows_the_worker(visitor: Page, site: Site, broker: str, tmp_path: Path) -> None:
    port = free_port()
    variables = {**os.environ, "DEBUG": "true", "ENV_FILE": os.devnull, "CELERY_BROKER_URL": broker}
    command = [*tied(), str(BIN / "celery"), "-A", "config", "flower", f"--port={port}", "--address=127.0.0.1"]
    flower = Process(command, tmp_path / "log", variables, APP)
    wait_until(lambda: listening(port), "Flower listens")

    def row() -> str:
        visitor.open(f"http://127.0.0.1:{port}/workers")
        # In one go, since Flower draws its table anew at any time.
        return str(visitor.run("return document.querySelector('tbody')?.innerText"))

    wait_until(lambda: "Online" in row(), "Flower knows the worker", 60)
    for _ in range(3):
        site.register()
    # Active, processed, failed, succeeded.
    wait_until(lambda: re.search(r"Online\s+0\s+\d+\s+0\s+[3-9]\s", row()), "Flower knows what the worker has done", 60)
    visitor.photograph("flower")
    flower.stop()
