"""People who register and ask for a new password, and try again when they see an error page."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import requests

from tests.chaos.site import Site
from tests.integration.browser import PASSWORD, Browser

THREADS = 4


@dataclass
class Crowd:
    site: Site
    registered: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    errors: int = 0

    def work(self) -> None:
        """Spread over the plan's seconds; a reset is asked for by some who registered a while ago."""
        size = self.site.plan.size
        rng = random.Random(self.site.plan.seed)  # noqa: S311
        names = [f"user{number:04}" for number in range(size.registrations)]
        resetting = set(rng.sample(names, size.resets))
        start = time.monotonic()
        with ThreadPoolExecutor(THREADS) as pool:
            for number, name in enumerate(names):
                at = start + size.seconds * number / len(names)
                pool.submit(self.person, name, at, name in resetting)

    def person(self, name: str, at: float, resets: bool) -> None:
        time.sleep(max(0, at - time.monotonic()))
        self.until_it_works(lambda: self.register(name))
        self.registered.append(name)
        if resets:
            self.until_it_works(lambda: self.ask(name))
            self.asked.append(name)

    def until_it_works(self, action: Callable[[], bool]) -> None:
        for _ in range(200):
            try:
                if action():
                    return
            except (requests.RequestException, AssertionError):
                pass
            self.errors += 1
            time.sleep(0.3)
        raise AssertionError("200 attempts failed")

    def register(self, name: str) -> bool:
        browser = Browser(self.site.port)
        passwords = {"password1": PASSWORD, "password2": PASSWORD}
        page = browser.post("/accounts/register/", username=name, email=f"{name}@example.org", **passwords)
        return page.status_code == 302 or "is taken" in page.text

    def ask(self, name: str) -> bool:
        return Browser(self.site.port).post("/accounts/password_reset/", email=f"{name}@example.org").status_code == 302
