"""As much of a browser as a form needs: cookies, the hidden fields, the Referer."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import requests


class Forms(HTMLParser):
    """The forms of a page, each with its action and the values its fields come with, and its stylesheets."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.stylesheets: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((values.get("action", ""), {}))
        elif tag == "input" and self.forms and values.get("name"):
            self.forms[-1][1][values["name"]] = values.get("value", "")
        elif tag == "link" and values.get("rel") == "stylesheet":
            self.stylesheets.append(values["href"])


class Browser:
    def __init__(self, site: str, certificate: Path) -> None:
        self.site = site
        self.session = requests.Session()
        # A proxy, a CA bundle or a .netrc of the environment has no say about the lab.
        self.session.trust_env = False
        self.session.verify = str(certificate)

    def get(self, path: str, **options: object) -> requests.Response:
        return self.session.get(urljoin(self.site, path), timeout=30, **options)  # type: ignore[arg-type]

    def submit(self, path: str, **fields: str) -> requests.Response:
        """Open the page, fill in the form that has these fields, send it, follow where it leads."""
        page = self.get(path)
        page.raise_for_status()
        action, values = next((form for form in Forms(page.text).forms if fields.keys() <= form[1].keys()), ("", {}))
        if not values:
            raise LookupError(f"{page.url} has no form with the fields {', '.join(fields)}")
        return self.session.post(
            urljoin(page.url, action), data={**values, **fields}, headers={"Referer": page.url}, timeout=30
        )
