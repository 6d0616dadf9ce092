from unittest import mock
from urllib.parse import urlencode

from django.contrib.auth.hashers import make_password
from django.test import Client, TestCase
from django.urls import reverse

from accounts.models import User
from tests.unit.factories import PASSWORD, user


class LoginTests(TestCase):
    bo: User
    url = "/accounts/login/"

    @classmethod
    def setUpTestData(cls) -> None:
        cls.bo = user()

    def login(self, name: str, password: str = PASSWORD) -> bool:
        self.client.post(self.url, {"username": name, "password": password})
        return "_auth_user_id" in self.client.session

    def test_it_takes_the_username(self) -> None:
        self.assertTrue(self.login("bo"))

    def test_it_takes_the_address_in_any_case(self) -> None:
        self.assertTrue(self.login("BO@example.ORG"))

    def test_it_takes_the_address_as_it_was_registered_and_in_its_other_spellings(self) -> None:
        user("al", email="ﬁona@bücher.example")

        for address in ("ﬁona@bücher.example", "ﬁona@xn--bcher-kva.example", " ﬁona@BÜCHER.example"):
            with self.subTest(address):
                self.client.logout()
                self.assertTrue(self.login(address))

    def test_it_takes_the_username_of_wide_letters(self) -> None:
        self.assertTrue(self.login("ｂｏ"))

    def test_it_refuses_a_wrong_password(self) -> None:
        self.assertFalse(self.login("bo", "wrong"))

    def test_it_refuses_an_unknown_name(self) -> None:
        self.assertFalse(self.login("nobody"))

    def test_it_refuses_an_inactive_account(self) -> None:
        user("al", is_active=False)

        self.assertFalse(self.login("al"))

    def test_it_answers_the_same_whether_or_not_the_account_exists(self) -> None:
        known = self.client.post(self.url, {"username": "bo", "password": "wrong"})
        unknown = self.client.post(self.url, {"username": "bu", "password": "wrong"})

        self.assertEqual(known.status_code, unknown.status_code)
        self.assertEqual(
            known.context["form"].non_field_errors(),
            unknown.context["form"].non_field_errors(),
        )

    def test_it_hashes_once_whether_or_not_the_account_exists(self) -> None:
        hasher = "django.contrib.auth.hashers.Argon2PasswordHasher"
        for name in ("bo", "bu"):
            with (
                mock.patch(f"{hasher}.encode", return_value="argon2$") as encode,
                mock.patch(f"{hasher}.verify", return_value=False) as verify,
            ):
                self.login(name, "wrong")
            self.assertEqual(encode.call_count + verify.call_count, 1, name)

    def test_it_logs_a_failure_without_what_was_typed(self) -> None:
        with self.assertLogs("accounts", "WARNING") as logs:
            self.login("typed-password", "wrong-password")

        self.assertEqual(logs.output, ["WARNING:accounts.signals:Failed login from 127.0.0.1"])

    def test_its_hashes_cost_what_owasp_asks_for(self) -> None:
        self.assertTrue(self.bo.password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$"))

    def test_it_upgrades_an_older_hash(self) -> None:
        al = user("al", password=make_password(PASSWORD, hasher="pbkdf2_sha256"))

        self.login("al")

        al.refresh_from_db()
        self.assertTrue(al.password.startswith("argon2$"))

    def test_it_leads_on_but_to_no_page_that_would_fail(self) -> None:
        elsewhere = ("//example.com", "https://example.com", "/\\example.com", "///example.com", "javascript:alert(1)")
        useless = ("/accounts/logout/?x", "/accounts/logout", "/accounts/login/")
        for wanted, led_to in (("/admin/", "/admin/"), *((url, "/") for url in (*elsewhere, *useless))):
            url = f"{self.url}?{urlencode({'next': wanted})}"
            with self.subTest(wanted):
                self.client.logout()
                response = self.client.post(url, {"username": "bo", "password": PASSWORD})

                self.assertRedirects(response, led_to, fetch_redirect_response=False)
                self.assertRedirects(self.client.get(url), led_to, fetch_redirect_response=False)

    def test_it_sends_those_who_are_logged_in_home(self) -> None:
        self.client.force_login(self.bo)

        self.assertRedirects(self.client.get(self.url), reverse("home"))

    def test_it_leads_on_who_sends_it_twice(self) -> None:
        client = Client(enforce_csrf_checks=True)
        client.get(self.url)
        form = {"username": "bo", "password": PASSWORD, "csrfmiddlewaretoken": client.cookies["csrftoken"].value}
        first, second = (client.post(f"{self.url}?next=/admin/", form, follow=False) for _ in range(2))

        self.assertRedirects(first, "/admin/", fetch_redirect_response=False)
        self.assertRedirects(second, f"{self.url}?next=/admin/", fetch_redirect_response=False)
        self.assertRedirects(client.get(second.headers["Location"]), "/admin/", fetch_redirect_response=False)

    def test_it_gives_a_session_that_nobody_knew_before(self) -> None:
        self.client.cookies["sessionid"] = planted = "a" * 32

        self.assertTrue(self.login("bo"))
        self.assertNotEqual(self.client.cookies["sessionid"].value, planted)


class LogoutTests(TestCase):
    bo: User
    url = "/accounts/logout/"

    @classmethod
    def setUpTestData(cls) -> None:
        cls.bo = user()

    def setUp(self) -> None:
        self.client.force_login(self.bo)

    def test_it_ends_the_session_by_post(self) -> None:
        response = self.client.post(self.url)

        self.assertRedirects(response, reverse("login"))
        self.assertNotIn("_auth_user_id", self.client.session)

    def test_it_refuses_get_and_shows_the_button(self) -> None:
        response = self.client.get(self.url)

        self.assertContains(response, "You are signed in as bo", status_code=405)
        self.assertEqual(response["Allow"], "POST, OPTIONS")
        self.assertIn("_auth_user_id", self.client.session)

    def test_a_stranger_is_shown_the_way_in(self) -> None:
        self.client.logout()

        self.assertContains(self.client.get(self.url), "You are not signed in", status_code=405)
