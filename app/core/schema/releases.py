"""Whether code of one release can live with the schema of another."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from core.models import MigrationNote
from core.schema.operations import harms

Key = tuple[str, str]

# What is said of packages' migrations, whose files are not ours: True if additive, else what safe_after would say.
PACKAGES: dict[Key, Key | bool] = {}


@dataclass(frozen=True)
class Verdict:
    """What code that lacks a migration needs to live with it: nothing, another migration, or it cannot."""

    safe_after: Key | None = None
    harm: str = ""

    def obstacle(self, theirs: set[Key]) -> str | None:
        """Why code with only `theirs` cannot live with it; None if it can."""
        if self.safe_after and self.safe_after not in theirs:
            return f"takes away what code without {dotted(self.safe_after)} uses"
        return self.harm or None


@dataclass
class Findings:
    refused: list[str] = field(default_factory=list)
    unknown: list[Key] = field(default_factory=list)


def load() -> MigrationLoader:
    """Without the database: what is applied is asked for where it matters."""
    return MigrationLoader(None, replace_migrations=False)


def known(loader: MigrationLoader) -> set[Key]:
    """The migrations on disk, and those that squashed ones stand for."""
    on_disk = loader.disk_migrations or {}
    return {*on_disk, *(key for migration in on_disk.values() for key in migration.replaces)}


def applied() -> set[Key]:
    return set(MigrationRecorder(connection).applied_migrations())


def dotted(key: Key) -> str:
    return ".".join(key)


def split(name: str) -> Key:
    app, _, migration = name.partition(".")
    return app, migration


def after_rollback(loader: MigrationLoader, theirs: set[Key]) -> Findings:
    """What is applied that code with only `theirs` could not live with."""
    return judged(loader, applied() - theirs, theirs)


def after_deploy(loader: MigrationLoader, theirs: set[Key]) -> Findings:
    """What is about to be applied that running code with only `theirs` could not live with."""
    done = applied()
    findings = judged(loader, known(loader) - done - theirs, theirs)
    return Findings(findings.refused, sorted(done - known(loader) - theirs))


def judged(loader: MigrationLoader, keys: Iterable[Key], theirs: set[Key]) -> Findings:
    """A migration without a file here, brought by a deploy that failed, is judged by what it said then."""
    findings = Findings()
    on_disk = loader.disk_migrations or {}
    notes = {} if on_disk.keys() >= set(keys) else noted()
    for key in sorted(keys):
        verdict = judge(loader, on_disk[key]) if key in on_disk else notes.get(key)
        if verdict is None:
            findings.unknown.append(key)
        elif reason := verdict.obstacle(theirs):
            findings.refused.append(f"{dotted(key)} {reason}.")
    return findings


def judge(loader: MigrationLoader, migration: Migration) -> Verdict:
    key = (migration.app_label, migration.name)
    said = PACKAGES.get(key) or getattr(migration, "safe_after", None) or getattr(migration, "additive", False)
    if said is True or migration.replaces:
        # Of a squashed migration those are judged that it stands for.
        return Verdict()
    if said:
        return Verdict(said)
    return Verdict(harm=", and ".join(harms(migration, loader.project_state(key, at_end=False))))


def noted() -> dict[Key, Verdict]:
    """None before the migration that makes the table."""
    if MigrationNote._meta.db_table not in connection.introspection.table_names():
        return {}
    return {
        split(note.migration): Verdict(split(note.safe_after) if note.safe_after else None, note.harm)
        for note in MigrationNote.objects.all()
    }


def note() -> None:
    """Keep what each migration here that is applied says of itself, where nothing is kept of it yet."""
    if MigrationNote._meta.db_table not in connection.introspection.table_names():
        return
    loader = load()
    on_disk = loader.disk_migrations or {}
    for key in sorted((applied() & on_disk.keys()) - noted().keys()):
        verdict = judge(loader, on_disk[key])
        after = dotted(verdict.safe_after) if verdict.safe_after else ""
        MigrationNote.objects.create(migration=dotted(key), safe_after=after, harm=verdict.harm)


def undeclared(loader: MigrationLoader) -> list[str]:
    """A sentence for each migration of ours that the release before it could not live with, undeclared."""
    ours = [node for key, node in sorted((loader.disk_migrations or {}).items()) if is_ours(node)]
    found = [(node, wrong_declaration(loader, node) or obstacle_undeclared(loader, node)) for node in ours]
    return [f"{node.app_label}.{node.name} {reason}." for node, reason in found if reason]


def is_ours(migration: Migration) -> bool:
    return migration.__module__.partition(".")[0] in settings.OUR_APPS


def obstacle_undeclared(loader: MigrationLoader, migration: Migration) -> str | None:
    return None if getattr(migration, "safe_after", None) else judge(loader, migration).obstacle(set())


def wrong_declaration(loader: MigrationLoader, migration: Migration) -> str | None:
    if getattr(migration, "additive", True) is not True:
        return "declares additive as something else than True"
    said = getattr(migration, "safe_after", None)
    if said is None:
        return None
    if not (isinstance(said, tuple) and [type(part) for part in said] == [str, str]):
        return 'declares safe_after as something else than a pair like ("accounts", "0005_stop_using_nickname")'
    key = (migration.app_label, migration.name)
    if said not in loader.graph.forwards_plan(key)[:-1]:
        return f"declares safe_after {dotted(said)}, which is none of the migrations that it depends on"
    return None
