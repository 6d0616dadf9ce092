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
# What looks like a command stays one.
smartquotes = False
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


def adapt(app: Sphinx, page: str, source: list[str]) -> None:
    # What lies outside the documents, another Markdown file too, comes along as a file.
    source[0] = source[0].replace("](../", "](path:../")
    if page == app.config.root_doc:
        source[0] += navigation(source[0])


def navigation(index: str) -> str:
    """The lists of the index are the site's navigation too, a part for each heading."""
    trees = []
    for part in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        caption, pages = part.partition("\n")[0], re.findall(r"^- \[([^]]+)\]\(([\w-]+)\.md\)", part, re.MULTILINE)
        entries = [f"{title} <{name}>" for title, name in pages]
        trees += ["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```", ""]
    return "\n".join(trees)


def draw(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Only where there is something to draw: what draws is 3 MB."""
    if '<pre class="mermaid">' in context.get("body", ""):
        app.add_js_file("mermaid.tiny.js")
        app.add_js_file("draw.js")


def setup(app: Sphinx) -> None:
    app.add_directive("mermaid", Mermaid)
    app.connect("source-read", adapt)
    app.connect("html-page-context", draw)
