from django.test import TestCase

from core.mails import reset_link
from tests.unit.factories import user

LONG = "correct horse 7 " * 257


class PasswordLengthTests(TestCase):
    def assert_refused(self, url: str, *names: str, **others: str) -> None:
        response = self.client.post(url, {**dict.fromkeys(names, LONG), **others})

        self.assertEqual(response.status_code, 200)
        self.assertEqual(set(response.context["form"].errors), set(names))

    def test_registration_refuses_what_is_too_long(self) -> None:
        others = {"username": "bo", "email": "bo@example.org"}
        self.assert_refused("/accounts/register/", "password1", "password2", **others)

    def test_login_refuses_it_whether_or_not_the_account_exists(self) -> None:
        user()
        for name in ("bo", "nobody"):
            self.assert_refused("/accounts/login/", "password", username=name)

    def test_a_reset_refuses_it(self) -> None:
        form = self.client.get(reset_link(user()), follow=True)
        self.assert_refused(form.redirect_chain[-1][0], "new_password1", "new_password2")

    def test_a_change_refuses_it(self) -> None:
        self.client.force_login(user())
        self.assert_refused("/accounts/password_change/", "old_password", "new_password1", "new_password2")
