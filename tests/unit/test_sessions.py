from django.conf import settings
from django.test import TestCase

from core.sessions import SessionStore
from tests.unit.factories import user


class SessionStoreTests(TestCase):
    def test_it_takes_the_keys_that_it_makes(self) -> None:
        session = SessionStore()
        session.create()

        self.assertEqual(SessionStore(session.session_key).session_key, session.session_key)

    def test_it_takes_no_other(self) -> None:
        for key in ("abcdefgh\0ijk", "äbcdefghijk", "abcdefgh ijk", "abcdefg"):
            with self.subTest(key):
                self.assertIsNone(SessionStore(key).session_key)

    def test_a_cookie_that_is_no_key_is_no_session(self) -> None:
        self.client.cookies["sessionid"] = "abcdefgh\0ijk"

        with self.assertNumQueries(0):
            response = self.client.get("/")

        self.assertRedirects(response, "/accounts/login/?next=/")


class KeyTests(TestCase):
    def setUp(self) -> None:
        self.client.force_login(user())

    def test_a_session_outlives_its_key_as_long_as_that_is_a_fallback(self) -> None:
        with self.settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
            response = self.client.get("/")

        self.assertContains(response, "Hello, bo")

    def test_a_session_ends_with_its_key(self) -> None:
        with self.settings(SECRET_KEY="new"):
            response = self.client.get("/")

        self.assertRedirects(response, "/accounts/login/?next=/", fetch_redirect_response=False)
