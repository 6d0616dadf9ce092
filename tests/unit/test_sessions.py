from django.test import TestCase

from core.sessions import SessionStore


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
