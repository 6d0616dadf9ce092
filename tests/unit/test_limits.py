from typing import Any
from unittest import mock

from django.test import RequestFactory, TestCase, override_settings

from core import limits
from core.models import RateCounter
from core.tasks import forget_rate_limits
from tests.unit.factories import PASSWORD, user


def limit(address: int = 0, account: int = 0) -> dict[str, Any]:
    return {action: {"address": address, "account": account} for action in ("login", "register", "reset")}


class LimitedPagesTests(TestCase):
    fields = {"/accounts/login/": "username", "/accounts/register/": "email", "/accounts/password_reset/": "email"}

    def statuses(self, page: str, names: list[str]) -> list[int]:
        return [self.client.post(page, {self.fields[page]: name}).status_code for name in names]

    @override_settings(RATE_LIMITS=limit(account=2))
    def test_they_limit_each_account_in_any_case(self) -> None:
        for page in self.fields:
            with self.subTest(page):
                self.assertEqual(self.statuses(page, ["bo", "BO", "bo ", "al"])[2:], [429, 200])

    @override_settings(RATE_LIMITS=limit(account=1))
    def test_other_letters_for_the_same_account_do_not_evade_them(self) -> None:
        for other in ("ｂill@bücher.example", "bİll@bücher.example", "bill@XN--BCHER-kva.example"):
            with self.subTest(other):
                RateCounter.objects.all().delete()
                self.assertEqual(self.statuses("/accounts/password_reset/", ["bill@bücher.example", other])[1], 429)

    @override_settings(RATE_LIMITS=limit(address=2))
    def test_they_limit_each_address(self) -> None:
        for page in self.fields:
            with self.subTest(page):
                self.assertEqual(self.statuses(page, ["a", "b", "c"])[2:], [429])

    @override_settings(RATE_LIMITS=limit(address=1, account=2))
    def test_an_address_over_its_limit_uses_up_no_accounts(self) -> None:
        for page in self.fields:
            with self.subTest(page):
                self.statuses(page, ["bo"] * 3)

                response = self.client.post(page, {self.fields[page]: "bo"}, REMOTE_ADDR="192.0.2.7")

                self.assertEqual(response.status_code, 200)

    @override_settings(RATE_LIMITS=limit(account=2))
    def test_an_old_password_is_guessed_as_seldom_as_one_to_log_in(self) -> None:
        self.client.force_login(user())
        form = {"old_password": "wrong", "new_password1": PASSWORD, "new_password2": PASSWORD}

        answers = [self.client.post("/accounts/password_change/", form).status_code for _ in range(3)]

        self.assertEqual(answers, [200, 200, 429])
        self.assertEqual(self.statuses("/accounts/login/", ["bo", "al"]), [429, 302])

    @override_settings(RATE_LIMITS=limit(account=1))
    def test_they_do_not_tell_whether_an_account_exists(self) -> None:
        user()
        answers = []
        for name in ("bo", "nobody"):
            for _ in range(2):
                response = self.client.post("/accounts/login/", {"username": name, "password": "x"})
            answers.append(response)

        self.assertEqual(answers[0].content, answers[1].content)
        self.assertEqual([answer.status_code for answer in answers], [429, 429])

    @override_settings(RATE_LIMITS=limit(account=1), RATE_LIMIT_WINDOW=90)
    def test_they_say_when_to_come_back(self) -> None:
        self.client.post("/accounts/login/", {"username": "bo"})
        response = self.client.post("/accounts/login/", {"username": "bo"})

        self.assertContains(response, "Try again in 2 minutes.", status_code=429)
        self.assertLessEqual(int(response.headers["Retry-After"]), 90)

    @override_settings(RATE_LIMITS=limit())
    def test_zero_is_no_limit(self) -> None:
        self.client.post("/accounts/login/", {"username": "bo"})

        self.assertFalse(RateCounter.objects.exists())


class CounterTests(TestCase):
    def test_it_starts_again_when_the_window_has_ended(self) -> None:
        with mock.patch("core.limits.time.time", return_value=1000.0):
            self.assertEqual([limits.count("x", 1) for _ in range(2)], [0, 900])
        with mock.patch("core.limits.time.time", return_value=1900.0):
            self.assertEqual(limits.count("x", 1), 0)

    def test_it_stores_no_address(self) -> None:
        limits.count("bo@example.org", 1)

        self.assertNotIn("bo", RateCounter.objects.get().key)

    def test_it_is_forgotten_after_its_window_and_only_then(self) -> None:
        with mock.patch("core.limits.time.time", return_value=1000.0):
            limits.count("old", 1)
        limits.count("new", 1)

        self.assertEqual(
            [forget_rate_limits.delay().get() for _ in range(2)],
            ["1 ended counters deleted", "0 ended counters deleted"],
        )
        self.assertEqual(RateCounter.objects.count(), 1)


class ClientAddressTests(TestCase):
    def address(self, peer: str, forwarded: str) -> str:
        return limits.client_network(RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded))

    def test_it_is_what_nginx_appended_when_over_the_socket(self) -> None:
        self.assertEqual(self.address("", "6.6.6.6, 192.0.2.7"), "192.0.2.7")

    def test_it_is_the_peer_otherwise(self) -> None:
        self.assertEqual(self.address("192.0.2.9", "6.6.6.6"), "192.0.2.9")

    def test_it_is_the_network_of_an_ipv6_client(self) -> None:
        self.assertEqual(self.address("2001:db8::1", ""), self.address("2001:db8::2", ""))
        self.assertNotEqual(self.address("2001:db8::1", ""), self.address("2001:db8:0:1::1", ""))

    def test_it_may_be_missing(self) -> None:
        self.assertEqual(self.address("", ""), "")
