import re
from html import unescape

from django.template.loader import render_to_string
from django.test import SimpleTestCase
from django.utils.html import strip_tags

CONTEXT = {
    "user": {"username": "bo"},
    "login_url": "https://example.org/accounts/login/",
    "reset_link": "https://example.org/accounts/reset/MQ/token/",
}


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


class MailTemplateTests(SimpleTestCase):
    def test_both_parts_say_the_same(self) -> None:
        for base in ("emails/welcome_email", "emails/password_reset_email"):
            text = render_to_string(f"{base}.txt", CONTEXT)
            html = render_to_string(f"{base}.html", CONTEXT)
            link = re.search(r"https://\S+", text)
            with self.subTest(base):
                assert link
                self.assertIn(f'href="{link[0]}"', html)
                body = unescape(strip_tags(html.partition("<body")[2].partition(">")[2]))
                self.assertEqual(words(body), words(text.replace(link[0], "")))
