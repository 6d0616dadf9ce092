"""Releases to deploy: commits that no branch knows of, each the tree on the disk and what sets it apart.

All have the app `bench`, with a request and a task that take long. A fault is a function that spoils the tree:
`release("2", failing_migration)`.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab import paths, snapshot
from lab.shell import LabError, run
from lab.snapshot import git

APP = Path(__file__).parent / "release_app"
ID_LENGTH = 12
DYING = """

def when_ready(server):
    import os, threading
    threading.Timer({seconds}, os._exit, [1]).start()
"""
DYING_WORKER = """

@worker_ready.connect
def die(**kwargs):
    import threading
    threading.Timer({seconds}, os._exit, [1]).start()
"""
DYING_BEAT = """

@beat_init.connect
def die(**kwargs):
    import os
    os._exit(1)
"""
# For a terminal: be called otherwise, hide what follows; the latter as one character, too.
CONTROLS = r"\x1b]0;mine\x07\x1b[8m\x9b8m"
CHECK = f"""
from django.core.checks import Error, register

@register()
def refuse(**kwargs):
    return [Error("This release was made to fail its check. {CONTROLS}", id="bench.E001")]
"""
SLOW_CHECK = """
from django.core.checks import register

@register(deploy=True)
def wait(**kwargs):
    import time
    time.sleep({seconds})
    return []
"""
MIGRATION = """from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("bench", "0001_initial")]
    operations = [{operation}]
    {declared}
"""

ANSWER = ("app/core/tasks.py", "return str(settings.RELEASE)")
# Of the machine, and no release's.
OUTSIDE = "/etc/outside"


@dataclass
class Tree:
    """The files of a commit, with changes that are not on the disk."""

    repository: Path
    commit: str
    changed: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def read(self, path: str) -> str:
        # Not git(), which strips.
        return self.changed.get(path) or run(["git", "-C", str(self.repository), "show", f"{self.commit}:{path}"])

    def append(self, path: str, text: str) -> None:
        self.changed[path] = self.read(path) + text

    def insert_after(self, path: str, line: str, text: str) -> None:
        self.replace(path, line, line + text)

    def replace(self, path: str, part: str, text: str) -> None:
        old = self.read(path)
        if old.count(part) != 1:
            raise LabError(f"{path} holds {part!r} {old.count(part)} times: releases.py looks for it once.")
        self.changed[path] = old.replace(part, text)

    def write(self, message: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            git(self.repository, "read-tree", self.commit, env=index)
            files = [("100644", *file) for file in self.changed.items()]
            for mode, path, text in files + [("120000", *link) for link in self.links.items()]:
                entry = f"{mode},{self.blob(text)},{path}"
                git(self.repository, "update-index", "--add", "--cacheinfo", entry, env=index)
            tree = git(self.repository, "write-tree", env=index)
        return git(self.repository, "commit-tree", tree, "-p", self.commit, "-m", message, env=snapshot.FIXED)

    def blob(self, text: str) -> str:
        return run(["git", "-C", str(self.repository), "hash-object", "-w", "--stdin"], stdin=text).strip()


Fault = Callable[[Tree], None]


def release(marker: str, *faults: Fault, repository: Path = paths.ROOT) -> str:
    """The commit's id. The marker shows in every page, and in the style sheet, whose hashed name it changes."""
    tree = Tree(repository, snapshot.take(repository))
    add_app(tree)
    tree.insert_after(
        "app/core/templates/base.html",
        '<meta charset="utf-8">\n',
        f'  <meta name="bench" content="{marker}">\n',
    )
    tree.append("app/core/static/core/site.css", f"/* {marker} */\n")
    for fault in faults:
        fault(tree)
    return tree.write(f"Release {marker}.")


def name(commit: str) -> str:
    """As it stands in the releases' folder and in X-Release."""
    return commit[:ID_LENGTH]


def add_app(tree: Tree) -> None:
    for file in sorted(APP.rglob("*.py")):
        tree.changed[f"app/bench/{file.relative_to(APP)}"] = file.read_text(encoding="utf-8")
    tree.insert_after("app/config/settings.py", "INSTALLED_APPS = [\n", '    "bench",\n')
    tree.insert_after("app/config/urls.py", "urlpatterns = [\n", '    path("bench/", include("bench.urls")),\n')


def import_error(tree: Tree) -> None:
    """In the URLs, so that no page is served; checks find it."""
    tree.append("app/config/urls.py", "import there_is_no_such_module\n")


def import_error_in_view(tree: Tree) -> None:
    tree.append("app/bench/views.py", "import there_is_no_such_module\n")


def import_error_at_start(tree: Tree) -> None:
    """Where no check looks: only web processes import it."""
    tree.append("app/config/wsgi.py", "import there_is_no_such_module\n")


def failing_page(tree: Tree) -> None:
    """Checks and /health/ are content; the pages are not."""
    tree.append("app/core/templates/base.html", "{% include 'there-is-no-such.html' %}\n")


def failing_check(tree: Tree) -> None:
    tree.append("app/bench/models.py", CHECK)


def speaking_to_terminals(tree: Tree) -> None:
    """In what it says against a rollback."""
    said = 'BEFORE_A_ROLLBACK = "'
    tree.replace("app/core/management/commands/schema.py", said, said + CONTROLS)


def leading_outside(tree: Tree) -> None:
    """By a link, of which nothing is the matter with the release."""
    tree.links["app/bench/outside"] = OUTSIDE


def failing_migration(tree: Tree) -> None:
    """Only once it is applied: it says of itself that it may be."""
    add_migration(tree, "0002_fails", "migrations.RunSQL('SELECT * FROM there_is_no_such_table')", "additive = True")


def breaking_migration(tree: Tree) -> None:
    """One that the release before cannot live with; this one does without the column."""
    tree.replace("app/bench/models.py", "    worker = models.CharField(max_length=255)\n", "")
    tree.replace("app/bench/tasks.py", ", worker=self.request.hostname", "")
    add_migration(tree, "0002_breaks", "migrations.RemoveField('run', 'worker')")


def additive_migration(tree: Tree) -> None:
    """One that the release before does not notice."""
    added = "migrations.AddField('run', 'note', models.TextField(null=True))"
    add_migration(tree, "0002_adds", added)


def noted_migration(tree: Tree) -> None:
    """Another one of that kind. It is to be known to no release that stays."""
    add_migration(tree, "0002_leaves_a_note", "migrations.AddField('run', 'noted', models.TextField(null=True))")


def slow_migration(tree: Tree, seconds: float = 8) -> None:
    add_migration(tree, "0002_takes_long", f"migrations.RunSQL('SELECT pg_sleep({seconds})')", "additive = True")


def slow_check(tree: Tree, seconds: float = 8) -> None:
    tree.append("app/bench/models.py", SLOW_CHECK.format(seconds=seconds))


def changed_lock(tree: Tree) -> None:
    """The same packages, which need a virtual environment of their own all the same."""
    tree.append("requirements/production.txt", "# Changed.\n")


def add_migration(tree: Tree, name: str, operation: str, declared: str = "") -> None:
    tree.changed[f"app/bench/migrations/{name}.py"] = MIGRATION.format(operation=operation, declared=declared)


def dying_web(tree: Tree, seconds: float = 2) -> None:
    """Gunicorn itself, after it has been ready for a while."""
    tree.append("app/config/gunicorn.py", DYING.format(seconds=seconds))


def dying_worker(tree: Tree, seconds: float = 2) -> None:
    tree.append("app/config/celery.py", DYING_WORKER.format(seconds=seconds))


def dying_beat(tree: Tree) -> None:
    """Beat follows the switch: it is found after that."""
    tree.append("app/config/celery.py", DYING_BEAT)


def failing_probe(tree: Tree) -> None:
    """Found after the switch alone, when a task is sent through each queue."""
    tree.replace(*ANSWER, "raise RuntimeError('This release was made to fail its tasks.')")


def slow_probe(tree: Tree, seconds: float = 6) -> None:
    """So long it is in service on every host, and not there to stay."""
    tree.replace(*ANSWER, f"import time; time.sleep({seconds}); {ANSWER[1]}")


def big(tree: Tree, megabytes: int = 40) -> None:
    """Too big for a disk that had room for the one before."""
    line = "0123456789abcdef" * 4
    tree.changed["app/core/static/core/big.txt"] = f"{line}\n" * (megabytes * 1_000_000 // 65)
