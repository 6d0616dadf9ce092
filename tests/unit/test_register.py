import unicodedata
from unittest import mock

from django.core import mail
from django.db import IntegrityError
from django.test import TestCase
from django.urls import reverse

from accounts.forms import RegisterForm
from accounts.models import User
from core.mails import absolute
from tests.unit.factories import user

FORM = {"username": "bo", "email": "bo@example.org", "password1": "correct horse 7", "password2": "correct horse 7"}


class RegisterTests(TestCase):
    url = "/accounts/register/"

    def test_it_creates_the_account_and_sends_to_login(self) -> None:
        response = self.client.post(self.url, FORM, follow=True)

        self.assertRedirects(response, reverse("login"))
        self.assertContains(response, "Account created successfully! Please log in.")
        self.assertTrue(User.objects.get(username="bo").check_password("correct horse 7"))

    def test_it_sends_the_welcome_mail_with_the_login_url(self) -> None:
        self.client.post(self.url, FORM)

        (message,) = mail.outbox
        self.assertEqual(message.to, ["bo@example.org"])
        self.assertIn(absolute("login"), message.body)

    def test_it_queues_the_mail_by_keyword(self) -> None:
        with mock.patch("accounts.views.send_welcome_email.delay") as delay:
            self.client.post(self.url, FORM)

        delay.assert_called_once_with(user_id=User.objects.get().pk, login_url=absolute("login"))

    def test_it_succeeds_when_the_mail_cannot_be_queued(self) -> None:
        with (
            mock.patch("accounts.views.send_welcome_email.delay", side_effect=OSError("no broker")),
            self.assertLogs("accounts", "ERROR") as logs,
        ):
            response = self.client.post(self.url, FORM)

        self.assertRedirects(response, reverse("login"))
        self.assertTrue(User.objects.filter(username="bo").exists())
        self.assertIn("could not be queued", logs.output[0])

    def test_it_refuses_an_address_in_other_case(self) -> None:
        User.objects.create_user("al", "Bo@Example.org")

        response = self.client.post(self.url, FORM)

        self.assertFormError(response.context["form"], "email", "An account with this e-mail address exists already.")

    def test_it_shows_what_is_wrong_beside_the_field(self) -> None:
        user("al", email="bo@example.org")

        response = self.client.post(self.url, FORM)

        problem = '<p class="problem" id="id_email_error">An account with this e-mail address exists already.</p>'
        self.assertContains(response, problem, html=True)
        self.assertContains(response, 'aria-describedby="id_email_error"')

    def test_it_says_beside_the_field_when_somebody_else_was_quicker(self) -> None:
        def looked_too_early(form: RegisterForm) -> bool:
            valid = not form.errors
            user()
            return valid

        with mock.patch.object(RegisterForm, "is_valid", looked_too_early):
            response = self.client.post(self.url, FORM)

        self.assertEqual(set(response.context["form"].errors), {"username", "email"})

    def test_it_says_so_when_somebody_else_was_quicker_and_is_gone(self) -> None:
        with mock.patch("accounts.views.RegisterForm.save", side_effect=IntegrityError):
            response = self.client.post(self.url, FORM)

        self.assertContains(response, "was taken a moment ago")

    def test_it_sends_those_who_are_logged_in_home(self) -> None:
        self.client.force_login(User.objects.create_user("al", "al@example.org"))

        self.assertRedirects(self.client.get(self.url), reverse("home"))

    def test_it_takes_names_and_addresses_of_every_script(self) -> None:
        self.client.post(self.url, {**FORM, "username": "Ђорђе", "email": "ђорђе@пример.срб"})

        self.assertEqual(User.objects.get().email, "ђорђе@пример.срб")

    def test_it_refuses_a_username_in_other_case(self) -> None:
        User.objects.create_user("Bo", "other@example.org")

        response = self.client.post(self.url, FORM)

        self.assertIn("username", response.context["form"].errors)

    def test_it_refuses_a_username_that_looks_like_an_address(self) -> None:
        response = self.client.post(self.url, {**FORM, "username": "al@example.org"})

        self.assertIn("username", response.context["form"].errors)

    def test_it_takes_both_ways_to_write_a_letter_for_the_same_address(self) -> None:
        for form in ("NFC", "NFD"):
            name = f"bo-{form}"
            address = unicodedata.normalize(form, "jörg@example.org")
            response = self.client.post(self.url, {**FORM, "username": name, "email": address})

        self.assertEqual(set(response.context["form"].errors), {"email"})
        self.assertEqual(User.objects.get().email, unicodedata.normalize("NFC", "jörg@example.org"))

    def test_it_takes_both_ways_to_write_a_domain_for_the_same_address(self) -> None:
        for name, domain in (("bo", "bücher.example"), ("al", "XN--bcher-kva.Example"), ("cy", "BÜCHER.example")):
            response = self.client.post(self.url, {**FORM, "username": name, "email": f"Änna@{domain}"})

        self.assertEqual(set(response.context["form"].errors), {"email"})
        self.assertEqual(User.objects.get().email, "Änna@bücher.example")

    def test_it_refuses_addresses_to_which_no_mail_can_be_sent(self) -> None:
        for address in (f"a@{'ü' * 60}.org", f"{'a' * 65}@example.org", f"{'ü' * 33}@example.org"):
            with self.subTest(address):
                response = self.client.post(self.url, {**FORM, "email": address})

                self.assertIn("email", response.context["form"].errors)

    def test_it_refuses_addresses_without_a_domain(self) -> None:
        for host in ("localhost", "[127.0.0.1]", "[::1]"):
            with self.subTest(host):
                response = self.client.post(self.url, {**FORM, "email": f"bo@{host}"})

                self.assertIn("email", response.context["form"].errors)

    def test_it_refuses_addresses_with_characters_that_cannot_be_seen(self) -> None:
        for character in ("\u2028", "\x85", "\u202e", "\u200b"):
            with self.subTest(repr(character)):
                response = self.client.post(self.url, {**FORM, "email": f"a{character}b@example.org"})

                self.assertIn("email", response.context["form"].errors)
