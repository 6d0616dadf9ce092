"""Whether an answer tells who has an account. With ROUNDS=200 its time is measured too, and printed."""

import os
import re
import statistics
import time
import uuid

import pytest
import requests

from tests.integration.browser import Browser
from tests.integration.servers import Process

ROUNDS = int(os.environ.get("ROUNDS", "0"))
# Not compared: the time of day, and the number that every request has of its own.
PASSING = ("Date", "Expires", "X-Request-ID")


def ask(browser: Browser, path: str, token: str, **form: str) -> tuple[requests.Response, float]:
    start = time.perf_counter()
    response = browser.request("POST", path, csrfmiddlewaretoken=token, **form)
    return response, time.perf_counter() - start


def compare(browser: Browser, path: str, known: dict[str, str], unknown: dict[str, str], rounds: int) -> None:
    if not rounds:
        return
    token = browser.token(path)
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        # The order changes, so that being second costs both the same.
        for which in (0, 1) if number % 2 else (1, 0):
            _, seconds = ask(browser, path, token, **(known, unknown)[which])
            times[which].append(seconds * 1000)
    first, second = (statistics.median(series) for series in times)
    bound = max(0.05 * max(first, second), 2)
    print(f"{path}: medians of {rounds}: known {first:.2f} ms, unknown {second:.2f} ms; bound {bound:.2f} ms apart")


def same_answer(browser: Browser, path: str, known: dict[str, str], unknown: dict[str, str]) -> None:
    token = browser.token(path)
    answers = [ask(browser, path, token, **form)[0] for form in (known, unknown)]
    first, second = answers
    assert first.status_code == second.status_code
    assert timeless(first) == timeless(second)
    assert hide(first.text) == hide(second.text)


def timeless(response: requests.Response) -> dict[str, str]:
    headers = {name: value for name, value in response.headers.items() if name not in PASSING}
    return {name: re.sub(r"expires=[^;]+", "", value) for name, value in headers.items()}


def hide(page: str) -> str:
    """A page without what was typed into it, and without the token that changes with every page."""
    lines = page.splitlines()
    return "\n".join(line for line in lines if "csrfmiddlewaretoken" not in line and 'name="username"' not in line)


@pytest.fixture(scope="module")
def name(port: int) -> str:
    name = f"bo{uuid.uuid4().hex[:8]}"
    Browser(port).register(name)
    return name


def test_a_reset_request_tells_nothing(browser: Browser, worker: Process, name: str) -> None:
    known, unknown = {"email": f"{name}@example.org"}, {"email": f"{name[::-1]}@example.org"}

    same_answer(browser, "/accounts/password_reset/", known, unknown)
    compare(browser, "/accounts/password_reset/", known, unknown, ROUNDS)


def test_a_failed_login_tells_nothing(browser: Browser, name: str) -> None:
    known, unknown = {"username": name, "password": "wrong"}, {"username": name[::-1], "password": "wrong"}

    same_answer(browser, "/accounts/login/", known, unknown)
    compare(browser, "/accounts/login/", known, unknown, ROUNDS)
