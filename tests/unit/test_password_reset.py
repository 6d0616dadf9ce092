import re
from unittest import mock

from django.core import mail
from django.db import OperationalError
from django.test import Client, TestCase

from accounts.models import User
from tests.unit.factories import PASSWORD, user

NEW = "battery staple 9"


class PasswordResetTests(TestCase):
    bo: User
    url = "/accounts/password_reset/"

    @classmethod
    def setUpTestData(cls) -> None:
        cls.bo = user()

    def link(self) -> str:
        (message,) = mail.outbox
        (path,) = re.findall(r"http://localhost:8000(/\S+)", str(message.body))
        return str(path)

    def test_its_four_steps_set_a_new_password(self) -> None:
        with self.settings(SITE_URL="http://localhost:8000"):
            asked = self.client.post(self.url, {"email": "bo@example.org"}, follow=True)
            form = self.client.get(self.link(), follow=True)
        done = self.client.post(form.redirect_chain[-1][0], {"new_password1": NEW, "new_password2": NEW}, follow=True)

        self.assertTemplateUsed(asked, "registration/password_reset_done.html")
        self.assertTemplateUsed(done, "registration/password_reset_complete.html")
        self.assertTrue(self.client.login(username="bo", password=NEW))

    def assert_dead(self, link: str) -> None:
        self.assertContains(Client().get(link, follow=True), "This link does not work")

    def asked_for(self) -> str:
        mail.outbox.clear()
        with self.settings(SITE_URL="http://localhost:8000"):
            self.client.post(self.url, {"email": "bo@example.org"})
            return self.link()

    def test_its_link_works_once(self) -> None:
        link = self.asked_for()
        form = self.client.get(link).headers["Location"]
        self.client.post(form, {"new_password1": NEW, "new_password2": NEW})

        self.assert_dead(link)
        self.assertContains(self.client.get(form), "This link does not work")

    def test_its_link_dies_when_the_account_is_used_or_its_address_changes(self) -> None:
        link = self.asked_for()
        self.client.login(username="bo", password=PASSWORD)
        self.assert_dead(link)

        link = self.asked_for()
        User.objects.update(email="other@example.org")
        self.assert_dead(link)

    def test_its_link_grows_old(self) -> None:
        link = self.asked_for()

        with self.settings(PASSWORD_RESET_TIMEOUT=-1):
            self.assert_dead(link)

    def test_it_logs_out_everywhere(self) -> None:
        elsewhere = Client()
        elsewhere.force_login(self.bo)
        form = self.client.get(self.asked_for()).headers["Location"]

        self.client.post(form, {"new_password1": NEW, "new_password2": NEW})

        self.assertRedirects(elsewhere.get("/"), "/accounts/login/?next=/")

    def test_it_queues_the_same_work_for_every_address(self) -> None:
        with mock.patch("accounts.forms.request_password_reset.delay") as delay:
            for address in ("bo@example.org", "nobody@example.org"):
                self.client.post(self.url, {"email": address})

        self.assertEqual(
            delay.call_args_list, [mock.call(email="bo@example.org"), mock.call(email="nobody@example.org")]
        )

    def test_it_makes_the_same_queries_and_answer_for_every_address(self) -> None:
        answers = []
        for address in ("bo@example.org", "nobody@example.org"):
            with mock.patch("accounts.forms.request_password_reset.delay"), self.assertNumQueries(2):
                # Every request has an identifier of its own, which the answer repeats.
                answers.append(self.client.post(self.url, {"email": address}, headers={"x-request-id": "0" * 32}))

        known, unknown = answers
        self.assertEqual(known.headers, unknown.headers)
        self.assertEqual((known.status_code, known.content), (unknown.status_code, unknown.content))

    def test_it_answers_the_same_when_nothing_can_be_queued(self) -> None:
        with (
            mock.patch("accounts.forms.request_password_reset.delay", side_effect=OSError("no broker")),
            self.assertLogs("accounts", "ERROR") as logs,
        ):
            response = self.client.post(self.url, {"email": "bo@example.org"})

        self.assertRedirects(response, "/accounts/password_reset/done/")
        self.assertNotIn("bo@example.org", logs.output[0])

    def test_it_promises_no_mail_when_the_database_did_not_take_the_request(self) -> None:
        self.client.raise_request_exception = False
        gone = OperationalError("the database is restarting")
        with mock.patch("accounts.forms.request_password_reset.delay", side_effect=gone), self.assertLogs("django"):
            response = self.client.post(self.url, {"email": "bo@example.org"})

        self.assertEqual(response.status_code, 500)

    def test_it_sends_nothing_to_an_unknown_address(self) -> None:
        self.client.post(self.url, {"email": "nobody@example.org"})

        self.assertEqual(mail.outbox, [])


class PasswordChangeTests(TestCase):
    url = "/accounts/password_change/"

    def test_it_changes_the_password_and_keeps_the_session(self) -> None:
        self.client.force_login(bo := user())

        response = self.client.post(
            self.url, {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}, follow=True
        )

        self.assertTemplateUsed(response, "registration/password_change_done.html")
        bo.refresh_from_db()
        self.assertTrue(bo.check_password(NEW))
        self.assertIn("_auth_user_id", self.client.session)

    def test_it_logs_out_everywhere_else(self) -> None:
        bo, elsewhere = user(), Client()
        for client in (self.client, elsewhere):
            client.force_login(bo)

        self.client.post(self.url, {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW})

        self.assertRedirects(elsewhere.get("/"), "/accounts/login/?next=/")

    def test_it_wants_the_old_password(self) -> None:
        self.client.force_login(user())

        response = self.client.post(self.url, {"old_password": "wrong", "new_password1": NEW, "new_password2": NEW})

        self.assertIn("old_password", response.context["form"].errors)

    def test_it_sends_strangers_to_login(self) -> None:
        self.assertRedirects(self.client.get(self.url), f"/accounts/login/?next={self.url}")
