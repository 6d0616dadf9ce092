from io import StringIO
from unittest import mock

from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import TestCase, override_settings

from accounts.models import User


@override_settings(DEBUG=True)
class DemoTests(TestCase):
    def test_it_makes_an_account_for_everything_and_tells_how_to_log_in(self) -> None:
        out = StringIO()

        call_command("demo", stdout=out)

        self.assertTrue(User.objects.get(username="demo").is_superuser)
        self.assertTrue(self.client.login(username="demo", password="demo"))
        self.assertIn("http://localhost:8000/accounts/login/  (user demo, password demo)", out.getvalue())

    def test_a_second_run_leaves_sessions_and_restores_the_password(self) -> None:
        call_command("demo", stdout=StringIO())
        before = User.objects.get(username="demo").password
        call_command("demo", stdout=StringIO())
        self.assertEqual(User.objects.get(username="demo").password, before)
        User.objects.update(password="unusable")

        call_command("demo", stdout=StringIO())

        self.assertTrue(self.client.login(username="demo", password="demo"))

    def test_it_refuses_production_and_the_database_of_others(self) -> None:
        postgres = mock.patch.dict(settings.DATABASES["default"], ENGINE="django.db.backends.postgresql")
        for elsewhere in (self.settings(DEBUG=False), postgres):
            with elsewhere, self.assertRaisesMessage(CommandError, "DEBUG must be on, and the database SQLite."):
                call_command("demo")

        self.assertFalse(User.objects.exists())
