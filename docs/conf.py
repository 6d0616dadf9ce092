"""How `make docs` makes a site of these documents. They stay plain Markdown; what a site needs is added here."""

import re
from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

project = html_title = "Django SaaS"
extensions = ["myst_parser"]
exclude_patterns = ["_build", "node_modules"]
highlight_language = "none"
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]
html_theme = "furo"
html_static_path = ["_static", "node_modules/@mermaid-js/tiny/dist"]
html_css_files = ["site.css"]
html_copy_source = html_show_copyright = html_show_sphinx = False


class Mermaid(SphinxDirective):
    """A diagram stays the text it is, which the browser draws. Without JavaScript it can be read."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        text = escape("\n".join(self.content))
        return [nodes.raw("", f'<pre class="mermaid">{text}</pre>', format="html")]


def add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    """The lists of the index are the site's navigation too, a part for each heading."""
    if page != app.config.root_doc:
        return
    for part in re.split(r"^## ", source[0], flags=re.MULTILINE)[1:]:
        caption, pages = part.partition("\n")[0], re.findall(r"^- \[([^]]+)\]\(([\w-]+)\.md\)", part, re.MULTILINE)
        entries = [f"{title} <{name}>" for title, name in pages]
        source[0] += "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```", ""])


def draw(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Only where there is something to draw: what draws is 3 MB."""
    if '<pre class="mermaid">' in context.get("body", ""):
        app.add_js_file("mermaid.tiny.js")
        app.add_js_file("draw.js")


def setup(app: Sphinx) -> None:
    app.add_directive("mermaid", Mermaid)
    app.connect("source-read", add_navigation)
    app.connect("html-page-context", draw)
