import json

from django.test import SimpleTestCase

from core.durable.masking import MASK, mask, mask_nameless, mask_text, secrets_in

URL = "https://example.org/accounts/login/"
LINK = "https://example.org/accounts/reset/MQ/abc-0123456789/"
# Of a session, of secrets.token_urlsafe, a UUID without hyphens, a JWT.
RANDOM = (
    "x4hnk2p0qz7d1v9w3m5c8t6y0b2r4f1g",
    "Drmhze6EPcv0fN_81Bj-nA2Kx7LwQ9uT4yS6oVtGiHc",
    "3f2b8c9d3f2b4c9d8f2b8c9d3f2b8c9d",
    "eyJhbGciOi.eyJzdWIi.c2lnbmF0",
)
SECRET_NAMES = """password1 new_password pwd db_pass pin passphrase api_key apiKey APIKEY client_secret
token access_token csrftoken authorization HTTP_AUTHORIZATION session
sessionid session_id session_key set_cookie reset_link credentials
passcode otp_code totp TOTPSecret hotp2 bearer bearerToken signature requestSignatures credential cookies
cookie_value cookieJar magic_link magicUrls backup_codes verificationCode mfa_code csrf cvv"""
HARMLESS_NAMES = """token_count max_tokens token_type key public_key primary_key keyboard compass pinned
author secretary session_count password_changed_at obsession
cookie_name cookiecutter email_signature signature_type forbearer code zip_code country_codes magic link login_url
hotplate footpath laptop passcode_length"""


class MaskingTests(SimpleTestCase):
    def test_it_goes_by_the_name_of_an_argument(self) -> None:
        value = {"password1": "p", "user": {"api_key": "k", "name": "bo"}, "login_url": URL, "tokens": ["t"]}

        masked = {"password1": MASK, "user": {"api_key": MASK, "name": "bo"}, "login_url": URL, "tokens": MASK}
        self.assertEqual(mask(value), masked)

    def test_it_knows_a_secret_by_the_words_of_its_name(self) -> None:
        for name in SECRET_NAMES.split():
            with self.subTest(name):
                self.assertEqual(mask({name: "s"}), {name: MASK})
                self.assertEqual(mask_text(f"f({name}='s', x=1)"), f"f({name}='{MASK}', x=1)")

    def test_it_leaves_what_is_about_a_secret_and_none_itself(self) -> None:
        for name in HARMLESS_NAMES.split():
            with self.subTest(name):
                self.assertEqual(mask({name: "s"}), {name: "s"})
                self.assertEqual(mask_text(f"f({name}='s', x=1)"), f"f({name}='s', x=1)")

    def test_a_number_may_be_a_secret_and_a_truth_is_none(self) -> None:
        value = {"pin": 1234, "password": True, "token": None, "n": 1}

        self.assertEqual(mask(value), {**value, "pin": MASK})
        self.assertEqual(mask_text(json.dumps(value)), json.dumps(value).replace("1234", MASK))
        self.assertEqual(secrets_in(value), {"1234"})

    def test_it_finds_passwords_in_addresses(self) -> None:
        text = mask_text("redis://:pw@h/0, smtp://bo:p@ss@h:25 and http://h:80/a@b")

        self.assertEqual(text, f"redis://:{MASK}@h/0, smtp://bo:{MASK}@h:25 and http://h:80/a@b")

    def test_it_finds_named_secrets_in_strings_within_strings(self) -> None:
        inner = {"password": 'hun"ter', "user": "bo"}
        for text in (json.dumps({"body": json.dumps(inner)}), repr({"body": repr(inner)}), repr(json.dumps(inner))):
            with self.subTest(text):
                self.assertNotIn("ter", mask_text(text).replace("https", ""))
                self.assertIn("bo", mask_text(text))

    def test_a_secret_is_found_as_python_and_json_write_it(self) -> None:
        secret = "pa\n'ss\u00e4"

        for text in (secret, repr(secret), json.dumps(secret)):
            self.assertIn(MASK, mask_text(text, frozenset([secret])))

    def test_what_was_cut_off_in_a_secret_is_masked(self) -> None:
        self.assertEqual(mask_text('{"password": "hunt'), f'{{"password": "{MASK}')

    def test_where_no_name_tells_it_hides_what_looks_random(self) -> None:
        harmless = "550e8400-e29b-41d4-a716-446655440000 send_report_2024_q3 2026-11-22T19:24:43 /var/releases/20261122"
        for secret in RANDOM:
            with self.subTest(secret):
                self.assertEqual(mask_nameless(f"{harmless} {secret}"), f"{harmless} {MASK}")

    def test_it_finds_reset_links_and_tokens_in_any_text(self) -> None:
        text = mask_text(f"GET {LINK} and https://example.org/?token=abc&page=2")

        self.assertEqual(
            text, f"GET https://example.org/accounts/reset/{MASK} and https://example.org/?token={MASK}&page=2"
        )

    def test_it_finds_named_secrets_in_what_was_not_decoded(self) -> None:
        body = """[[], {"api_key": "k-1", 'new_password': 'p 2', "user_id": "7"}, {}]"""

        masked = f"""[[], {{"api_key": "{MASK}", 'new_password': '{MASK}', "user_id": "7"}}, {{}}]"""
        self.assertEqual(mask_text(body), masked)

    def test_it_goes_through_lists(self) -> None:
        self.assertEqual(mask([{"secret": "s"}, LINK, 1, None]), [{"secret": MASK}, mask_text(LINK), 1, None])

    def test_a_secret_in_a_list_is_found_in_messages_too(self) -> None:
        self.assertEqual(secrets_in({"tokens": ["abcdef", "xy"], "names": ["bo"]}), {"abcdef"})
