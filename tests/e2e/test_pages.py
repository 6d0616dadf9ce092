"""Every page, and every state of it, at both widths and in both colour schemes."""

import uuid
from collections.abc import Callable

import pytest

from tests.e2e.conftest import DESKTOP, PHONE, Page
from tests.e2e.test_journey import log_in, register
from tests.integration.browser import PASSWORD

State = Callable[[Page], None]


def opened(path: str) -> State:
    return lambda page: page.open(path)


def wrong_registration(page: Page) -> None:
    page.open("/accounts/register/")
    page.submit(username="two words", email="bo@example", password1="short", password2="shorter")


def signed_in(page: Page) -> None:
    name = f"bo{uuid.uuid4().hex[:8]}"
    register(page, name)
    log_in(page, name)


def registered(page: Page) -> None:
    register(page, f"bo{uuid.uuid4().hex[:8]}")


def wrong_login(page: Page) -> None:
    log_in(page, "nobody", "wrong")


def log_out_by_address(page: Page) -> None:
    signed_in(page)
    page.open("/accounts/logout/")


def password_change(page: Page) -> None:
    signed_in(page)
    page.open("/accounts/password_change/")


def password_changed(page: Page) -> None:
    password_change(page)
    page.submit(old_password=PASSWORD, new_password1="battery staple 9", new_password2="battery staple 9")


def too_many_attempts(page: Page) -> None:
    for _ in range(2):
        page.open("/accounts/password_reset/")
        page.submit(email="often@example.org")


STATES: dict[str, State] = {
    "login": opened("/accounts/login/"),
    "login-after-registration": registered,
    "login-wrong": wrong_login,
    "register": opened("/accounts/register/"),
    "register-wrong": wrong_registration,
    "home": signed_in,
    "log-out": log_out_by_address,
    "password-change": password_change,
    "password-changed": password_changed,
    "password-reset": opened("/accounts/password_reset/"),
    "password-reset-sent": opened("/accounts/password_reset/done/"),
    "password-reset-old-link": opened("/accounts/reset/MQ/old-link/"),
    "password-reset-complete": opened("/accounts/reset/done/"),
    "too-many-attempts": too_many_attempts,
    "not-found": opened("/nowhere/"),
}


@pytest.mark.parametrize("state", STATES)
def test_it_fits_and_axe_finds_nothing(page: Page, state: str) -> None:
    STATES[state](page)
    for scheme in ("light", "dark"):
        page.prefer(scheme)
        for label, size in {"desktop": DESKTOP, "phone": PHONE}.items():
            page.resize(size)
            page.photograph(f"{state}-{label}-{scheme}")
            assert page.faults() == []
            assert page.run("return document.documentElement.scrollWidth <= innerWidth"), "It scrolls sideways."
