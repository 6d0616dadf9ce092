import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from selenium import webdriver

from lab.browser import Browser
from tests.dev.tree import copy_tree, environment, processes_in
from tests.e2e.conftest import Page, driver, screenshots
from tests.integration.browser import PASSWORD
from tests.integration.servers import Process, free_port, wait_until

__all__ = ["driver", "screenshots"]

# Seconds from the first answer until Django has looked at all files for the first time, on a busy machine. It takes
# what is changed before for how it was, and does not reload.
FIRST_LOOK = 3


class Site(Process):
    """What `make dev` runs, in a session of its own as in a terminal."""

    def __init__(self, tree: Path, log: Path, *options: str) -> None:
        self.tree, self.port = tree, free_port()
        self.url = f"http://localhost:{self.port}"
        # What a developer's shell may hold is for other things.
        variables = environment() | {"DJANGO_LOG_LEVEL": "NOPE", "SENTRY_DSN": "nowhere", "DEBUG": "false"}
        super().__init__(["make", "dev", f"PORT={self.port}", *options], log, variables, tree)
        wait_until(self.answers_or_has_ended, "the site answers", 120)
        assert self.popen.poll() is None, self.output()
        time.sleep(FIRST_LOOK)

    def answers_or_has_ended(self) -> bool:
        return self.popen.poll() is not None or self.status("/health/") == 200

    def status(self, path: str) -> int:
        try:
            return requests.get(self.url + path, timeout=9).status_code
        except requests.ConnectionError:
            return 0

    def browser(self) -> Browser:
        return Browser(self.url, Path())

    def register(self) -> str:
        name = f"bo{uuid.uuid4().hex[:8]}"
        address = f"{name}@example.org"
        form = {"username": name, "email": address, "password1": PASSWORD, "password2": PASSWORD}
        assert "Account created successfully!" in self.browser().submit("/accounts/register/", **form).text
        return address

    def inbox(self) -> str:
        return self.browser().get("/inbox/").text

    def press_ctrl_c(self) -> None:
        """A terminal sends it to the whole group in the foreground."""
        self.send(signal.SIGINT)

    def left(self) -> list[str]:
        return processes_in(self.tree)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_tree(tmp_path_factory.mktemp("tree").resolve())


Run = Callable[..., Site]


@pytest.fixture(scope="module")
def run(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    started: list[Site] = []

    def start(*options: str) -> Site:
        started.append(Site(tree, tmp_path_factory.mktemp("dev") / "log", *options))
        return started[-1]

    yield start
    for site in started:
        if site.popen.poll() is None:
            # As whoever types it: make alone would leave behind what honcho started.
            site.press_ctrl_c()
            site.popen.wait(30)


@pytest.fixture
def page(driver: webdriver.Chrome, screenshots: Path) -> Page:
    return Page(driver, "", screenshots, axe="")
