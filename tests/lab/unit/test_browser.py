from lab.browser import Forms

PAGE = """
<link rel="stylesheet" href="/static/site.css"><link rel="icon" href="/i.png">
<form action="/search"><input name="q"></form>
<form method="post" action="/accounts/login/">
  <input type="hidden" name="csrfmiddlewaretoken" value="t&amp;k"><input name="username" required><input type="submit">
</form>
"""


def test_it_reads_the_forms_with_their_hidden_fields() -> None:
    assert Forms(PAGE).forms == [
        ("/search", {"q": ""}),
        ("/accounts/login/", {"csrfmiddlewaretoken": "t&k", "username": ""}),
    ]


def test_it_reads_the_stylesheets() -> None:
    assert Forms(PAGE).stylesheets == ["/static/site.css"]
