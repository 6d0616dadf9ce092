import re

import requests

PASSWORD = "correct horse 7"


class Browser:
    """Talks to Gunicorn as nginx would, and sends forms with their token."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.cookies: dict[str, str] = {}
        self.session = requests.Session()
        self.headers = {"Host": "example.org", "X-Forwarded-Proto": "https", "Referer": "https://example.org/"}

    def request(self, method: str, path: str, **form: str) -> requests.Response:
        # By hand: the cookies are for HTTPS only, which ends at nginx.
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {**self.headers, "Cookie": cookie}
        response = self.session.request(
            method, self.base + path, data=form or None, headers=headers, allow_redirects=False, timeout=30
        )
        self.cookies |= {cookie.name: cookie.value or "" for cookie in response.cookies}
        self.session.cookies.clear()
        return response

    def get(self, path: str) -> requests.Response:
        return self.request("GET", path)

    def post(self, path: str, **form: str) -> requests.Response:
        return self.request("POST", path, csrfmiddlewaretoken=self.token(path), **form)

    def token(self, path: str) -> str:
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(path).text)
        assert found is not None, path
        return found[1]

    def register(self, name: str, **form: str) -> requests.Response:
        passwords = {"password1": PASSWORD, "password2": PASSWORD}
        return self.post("/accounts/register/", username=name, email=f"{name}@example.org", **passwords, **form)
