from django.contrib.auth import authenticate
from django.db import IntegrityError, transaction
from django.test import TestCase

from accounts.models import User
from core.models import RateCounter
from tests.unit.factories import user


class UserTests(TestCase):
    def test_addresses_and_names_are_unique_in_the_database_without_regard_to_case(self) -> None:
        user()

        for username, email in (("al", "BO@example.org"), ("BO", "al@example.org")):
            with self.subTest(username), self.assertRaises(IntegrityError), transaction.atomic():
                User.objects.create(username=username, email=email)

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
