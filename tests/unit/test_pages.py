import unicodedata
from unittest import mock
from urllib.parse import urlencode

from django.test import Client, TestCase, override_settings

from tests.unit.factories import user

OPEN = ("login", "register", "password_reset", "password_reset/done", "reset/done", "reset/MQ/old")
SIGNED_IN = ("password_change", "password_change/done")


class PageTests(TestCase):
    def pages(self) -> list[str]:
        pages = [self.client.get(f"/accounts/{path}/").content.decode() for path in OPEN]
        self.client.force_login(user())
        pages += [self.client.get(f"/accounts/{path}/").content.decode() for path in SIGNED_IN]
        return [*pages, self.client.get("/").content.decode(), self.client.get("/nowhere/").content.decode()]

    def test_they_need_no_script_and_no_inline_style(self) -> None:
        for page in self.pages():
            for forbidden in ("<script", " style=", "<style", "javascript:", " onclick="):
                self.assertNotIn(forbidden, page)

    def test_each_has_a_title_and_one_heading(self) -> None:
        for page in self.pages():
            self.assertRegex(page, r"<title>\w.* · Django SaaS</title>")
            self.assertEqual(page.count("<h1>"), 1)


class MethodTests(TestCase):
    def test_pages_that_only_show_something_refuse_all_but_get_and_head(self) -> None:
        client = Client(enforce_csrf_checks=True)
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            with self.subTest(method):
                self.assertEqual(client.generic(method, "/health/").status_code, 405)
        for method in ("OPTIONS", "TRACE"):
            with self.subTest(f"{method} home"):
                self.assertEqual(client.generic(method, "/").status_code, 405)
        self.assertEqual(client.head("/health/").status_code, 200)

    def test_forms_are_sent_by_post_alone(self) -> None:
        for page in ("login", "register", "password_reset"):
            with self.subTest(page):
                self.assertEqual(self.client.put(f"/accounts/{page}/").status_code, 405)


class FailureTests(TestCase):
    def test_a_form_without_its_token_is_refused_with_a_page(self) -> None:
        for signed_in in (False, True):
            client = Client(enforce_csrf_checks=True)
            if signed_in:
                client.force_login(user())
            with self.subTest(signed_in=signed_in), self.assertLogs("django.security.csrf", "WARNING"):
                response = client.post("/accounts/password_reset/", {"email": "bo@example.org"})

                self.assertContains(response, "<h1>Please try again</h1>", status_code=403)

    def test_a_fault_of_ours_tells_nothing_of_itself(self) -> None:
        client = Client(raise_request_exception=False)
        client.force_login(user())
        with mock.patch("core.views.render", side_effect=RuntimeError("secret")), self.assertLogs("django.request"):
            response = client.get("/")

        self.assertContains(response, "<h1>Something went wrong here</h1>", status_code=500)
        self.assertNotContains(response, "secret", status_code=500)

    def test_another_host_is_a_warning_of_one_line(self) -> None:
        with self.assertLogs("django.security.DisallowedHost") as logs:
            self.client.get("/", headers={"host": "evil.example"})

        self.assertEqual([(record.levelname, record.exc_info) for record in logs.records], [("WARNING", None)])

    def test_a_body_that_is_too_large_is_refused_with_a_page(self) -> None:
        client = Client(enforce_csrf_checks=True)
        client.get("/accounts/login/")
        for body in ({"username": "x" * 3_000_000}, {f"field{number}": "x" for number in range(1001)}):
            with self.subTest(len(body)), self.assertLogs("django.security", "ERROR"):
                response = client.post("/accounts/login/", urlencode(body), "application/x-www-form-urlencoded")

                self.assertContains(response, "<h1>This request makes no sense here</h1>", status_code=400)


class LongInputTests(TestCase):
    def test_no_page_puts_endless_accents_in_order(self) -> None:
        """It takes quadratic time: a body of 2 MB would keep a process busy for an hour."""
        endless = "a" + "\u0301\u0327" * 5000
        with mock.patch("unicodedata.normalize", wraps=unicodedata.normalize) as normalize:
            for page in ("login", "register", "password_reset"):
                for value in (endless, f"{endless}@example.org"):
                    self.client.post(f"/accounts/{page}/", {"username": value, "email": value, "password": "x"})

        self.assertLess(max(len(call.args[1]) for call in normalize.call_args_list), 1000)


class CacheTests(TestCase):
    def test_none_keeps_what_only_those_who_are_signed_in_see(self) -> None:
        self.client.force_login(user())
        for path in SIGNED_IN:
            with self.subTest(path):
                self.assertIn("no-store", self.client.get(f"/accounts/{path}/").headers.get("Cache-Control", ""))


class BadRequestTests(TestCase):
    def test_a_body_in_an_encoding_for_no_form_is_refused_with_a_page(self) -> None:
        client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        client.get("/accounts/login/")
        for path in ("/accounts/login/", "/nowhere/"):
            with self.subTest(path), self.assertLogs("django.request", "WARNING"):
                response = client.post(path, b"x", "application/x-www-form-urlencoded; charset=utf-16")

                self.assertContains(response, "<h1>This request makes no sense here</h1>", status_code=400)
                self.assertEqual(response.headers["X-Content-Type-Options"], "nosniff")


class HeaderTests(TestCase):
    def test_they_keep_others_from_adding_or_framing_anything(self) -> None:
        headers = self.client.get("/accounts/login/", secure=True).headers

        policy = headers["Content-Security-Policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertIn("frame-ancestors 'none'", policy)
        self.assertNotIn("unsafe", policy)
        self.assertEqual(headers["X-Frame-Options"], "DENY")
        self.assertEqual(headers["Referrer-Policy"], "same-origin")
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")

    @override_settings(SECURE_HSTS_SECONDS=31_536_000)
    def test_they_ask_for_https_from_now_on(self) -> None:
        headers = self.client.get("/accounts/login/", secure=True).headers

        self.assertEqual(headers["Strict-Transport-Security"], "max-age=31536000")

    @override_settings(SECURE_SSL_REDIRECT=True)
    def test_answers_that_never_reach_a_page_have_the_policy_too(self) -> None:
        for status, host in ((301, "testserver"), (400, "no such host")):
            response = self.client.get("/accounts/login/", headers={"host": host})

            self.assertEqual(response.status_code, status)
            self.assertIn("default-src 'none'", response.headers.get("Content-Security-Policy", ""))

    @override_settings(SECURE_SSL_REDIRECT=True)
    def test_http_leads_to_https_but_for_health(self) -> None:
        self.assertRedirects(
            self.client.get("/accounts/login/"),
            "https://testserver/accounts/login/",
            301,
            fetch_redirect_response=False,
        )
        self.assertNotEqual(self.client.get("/health/").status_code, 301)
