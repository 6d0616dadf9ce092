from django.test import TestCase

from accounts.models import User
from tests.unit.factories import PASSWORD, user


class AccountAdminTests(TestCase):
    def setUp(self) -> None:
        self.client.force_login(user(is_staff=True, is_superuser=True))

    def test_it_lists_accounts(self) -> None:
        self.assertContains(self.client.get("/admin/accounts/user/"), "bo@example.org")

    def test_it_adds_an_account_with_its_address(self) -> None:
        form = {"username": "al", "email": "al@example.org", "usable_password": "true"}

        self.client.post("/admin/accounts/user/add/", {**form, "password1": PASSWORD, "password2": PASSWORD})

        self.assertEqual(User.objects.get(username="al").email, "al@example.org")
