from unittest import mock

from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import TestCase

from accounts.models import User
from core.models import RateCounter
from tests.unit.factories import PASSWORD, user


class UserTests(TestCase):
    def test_addresses_and_names_are_unique_in_the_database_without_regard_to_case(self) -> None:
        user()

        for username, email in (("al", "BO@example.org"), ("BO", "al@example.org")):
            with self.subTest(username), self.assertRaises(IntegrityError), transaction.atomic():
                User.objects.create(username=username, email=email)

    def test_createsuperuser_says_what_is_taken_in_another_case(self) -> None:
        user()

        for name, address, sentence in (
            ("al", "BO@example.org", "An account with this e-mail address exists already."),
            ("BO", "al@example.org", "This username is taken."),
        ):
            with self.subTest(name), self.assertRaises(CommandError) as caught:
                call_command("createsuperuser", "--noinput", f"--username={name}", f"--email={address}")
            self.assertEqual(str(caught.exception), sentence)

    def test_createsuperuser_makes_one(self) -> None:
        with mock.patch.dict("os.environ", DJANGO_SUPERUSER_PASSWORD=PASSWORD):
            call_command("createsuperuser", "--noinput", "--username=al", "--email=al@example.org", "--verbosity=0")

        self.assertTrue(User.objects.get(username="al", is_superuser=True).check_password(PASSWORD))

    def test_several_may_have_no_address(self) -> None:
        User.objects.create_user("al")
        User.objects.create_user("cy")

        self.assertEqual(User.objects.filter(email="").count(), 2)


class BackendTests(TestCase):
    def test_it_leaves_other_credentials_to_other_backends(self) -> None:
        self.assertIsNone(authenticate(token="x"))


class RateCounterTests(TestCase):
    def test_its_name_says_how_many_until_when(self) -> None:
        self.assertEqual(str(RateCounter(count=3, ends_at=60)), "3 until 60")
