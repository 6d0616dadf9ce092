from django.test import TestCase

from tests.unit.factories import user


class HomeTests(TestCase):
    def test_it_shows_the_account(self) -> None:
        self.client.force_login(user())

        response = self.client.get("/")

        self.assertContains(response, "Hello, bo")
        self.assertContains(response, "bo@example.org")

    def test_it_is_not_kept_by_caches(self) -> None:
        self.client.force_login(user())

        self.assertIn("no-store", self.client.get("/").headers["Cache-Control"])

    def test_it_sends_strangers_to_login(self) -> None:
        self.assertRedirects(self.client.get("/"), "/accounts/login/?next=/")


class AdminLoginTests(TestCase):
    url = "/admin/login/?next=/admin/accounts/user/"

    def test_it_sends_strangers_to_the_sites_login(self) -> None:
        self.assertRedirects(self.client.get(self.url), "/accounts/login/?next=/admin/accounts/user/")

    def test_it_refuses_those_who_are_no_staff(self) -> None:
        self.client.force_login(user())

        self.assertEqual(self.client.get(self.url).status_code, 403)

    def test_it_sends_staff_to_the_admin(self) -> None:
        self.client.force_login(user(is_staff=True))

        self.assertRedirects(self.client.get(self.url), "/admin/")
