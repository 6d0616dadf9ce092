import uuid

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.e2e.conftest import DESKTOP, PHONE, Page
from tests.integration.browser import PASSWORD
from tests.integration.mailbox import Mailbox, link

NEW = "battery staple 9"


@pytest.fixture
def name() -> str:
    return f"bo{uuid.uuid4().hex[:8]}"


def register(page: Page, name: str) -> None:
    page.open("/accounts/register/")
    page.submit(username=name, email=f"{name}@example.org", password1=PASSWORD, password2=PASSWORD)


def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.open("/accounts/login/")
    page.submit(username=name, password=password)


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_from_registration_over_a_forgotten_password_to_logout(
    page: Page, mailbox: Mailbox, name: str, size: tuple[int, int]
) -> None:
    page.resize(size)
    register(page, name)
    assert page.find(".note").text == "Account created successfully! Please log in."
    welcome = mailbox.wait_for(f"{name}@example.org", "Welcome to Django SaaS")
    page.open(link(welcome))
    page.press("a[href='/accounts/password_reset/']")
    page.submit(email=f"{name}@example.org")
    assert page.heading == "Check your mail"

    page.open(link(mailbox.wait_for(f"{name}@example.org", "Password Reset Request")))
    page.submit(new_password1=NEW, new_password2=NEW)
    assert page.heading == "Your new password is set"
    page.press("main .button")
    page.submit(username=f"{name}@example.org", password=NEW)
    assert page.heading == f"Hello, {name}"
    page.press("header button")
    assert page.heading == "Log in"


def test_with_the_keyboard_alone(page: Page, name: str) -> None:
    def typed(*words: str) -> None:
        html = page.find("html")
        keys = ActionChains(page.driver)
        for word in words:
            keys.send_keys(word, Keys.TAB)
        # The last Tab reached the button.
        keys.send_keys(Keys.ENTER).perform()
        page.wait_for_page_after(html)

    page.open("/accounts/register/")
    typed(name, f"{name}@example.org", PASSWORD, PASSWORD)
    assert page.heading == "Log in"
    typed(name, PASSWORD)
    assert page.heading == f"Hello, {name}"

    # From the top: the skip link, the brand, the button for logging out.
    html = page.find("html")
    ActionChains(page.driver).send_keys(Keys.TAB, Keys.TAB, Keys.TAB, Keys.ENTER).perform()
    page.wait_for_page_after(html)
    assert page.heading == "Log in"


def test_the_focus_can_be_seen(page: Page) -> None:
    page.open("/accounts/password_reset/done/")
    for _ in range(5):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
        style = page.run("return getComputedStyle(document.activeElement).outlineStyle")
        assert style == "solid", page.run("return document.activeElement.outerHTML")
