"""Whether code of one release can live with the schema of another."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from core.schema.operations import harms

Key = tuple[str, str]

# What is said of packages' migrations, whose files are not ours: True if additive, else what safe_after would say.
PACKAGES: dict[Key, Key | bool] = {}


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


def after_rollback(loader: MigrationLoader, theirs: set[Key]) -> Findings:
    """What is applied that code with only `theirs` could not live with."""
    return judged(loader, applied() - theirs, theirs)


def after_deploy(loader: MigrationLoader, theirs: set[Key]) -> Findings:
    """What is about to be applied that running code with only `theirs` could not live with."""
    done = applied()
    findings = judged(loader, known(loader) - done - theirs, theirs)
    return Findings(findings.refused, sorted(done - known(loader) - theirs))


def judged(loader: MigrationLoader, keys: Iterable[Key], theirs: set[Key]) -> Findings:
    findings = Findings()
    for key in sorted(keys):
        migration = (loader.disk_migrations or {}).get(key)
        if migration is None:
            findings.unknown.append(key)
        elif reason := obstacle(loader, migration, theirs):
            findings.refused.append(f"{dotted(key)} {reason}.")
    return findings


def obstacle(loader: MigrationLoader, migration: Migration, theirs: set[Key]) -> str | None:
    """Why code with only `theirs` cannot live with `migration`; None if it can."""
    key = (migration.app_label, migration.name)
    said = PACKAGES.get(key) or getattr(migration, "safe_after", None) or getattr(migration, "additive", False)
    if said is True or migration.replaces:
        # Of a squashed migration those are judged that it stands for.
        return None
    if said:
        return None if said in theirs else f"takes away what code without {dotted(said)} uses"
    return ", and ".join(harms(migration, loader.project_state(key, at_end=False))) or None


def undeclared(loader: MigrationLoader) -> list[str]:
    """A sentence for each migration of ours that the release before it could not live with, undeclared."""
    ours = [node for key, node in sorted((loader.disk_migrations or {}).items()) if is_ours(node)]
    found = [(node, wrong_declaration(loader, node) or obstacle_undeclared(loader, node)) for node in ours]
    return [f"{node.app_label}.{node.name} {reason}." for node, reason in found if reason]


def is_ours(migration: Migration) -> bool:
    return migration.__module__.partition(".")[0] in settings.OUR_APPS


def obstacle_undeclared(loader: MigrationLoader, migration: Migration) -> str | None:
    return None if getattr(migration, "safe_after", None) else obstacle(loader, migration, set())


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
