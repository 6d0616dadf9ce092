"""What in a migration harms code that does not know it."""

from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

from django.contrib.postgres.operations import CreateCollation, CreateExtension, ValidateConstraint
from django.db import migrations
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.models import AlterConstraint
from django.db.migrations.state import ProjectState
from django.db.models import Model, UniqueConstraint

from core.schema.columns import column_of, narrowing

HARMLESS = (
    migrations.AddIndex,
    migrations.RemoveIndex,
    migrations.RenameIndex,
    migrations.AlterIndexTogether,
    migrations.AlterModelManagers,
    migrations.AlterModelOptions,
    migrations.AlterModelTableComment,
    AlterConstraint,
    CreateCollation,
    CreateExtension,
    ValidateConstraint,
)


@dataclass
class Change:
    app: str
    before: ProjectState
    after: ProjectState
    # Of this migration's own making: code that does not know it uses none of them.
    new: set[str] = field(default_factory=set)

    def old_model(self, name: str) -> type[Model]:
        return self.before.apps.get_model(self.app, name)

    def new_model(self, name: str) -> type[Model]:
        return self.after.apps.get_model(self.app, name)

    def old_field(self, operation: Any, name: str) -> Any:
        return self.old_model(operation.model_name)._meta.get_field(name)

    def new_field(self, operation: Any, name: str) -> Any:
        return self.new_model(operation.model_name)._meta.get_field(name)


def harms(migration: migrations.Migration, before: ProjectState) -> list[str]:
    """One clause per operation that is not additive, like “removes the column …”; `before` is left as it was."""
    return harms_of(list(migration.operations), Change(migration.app_label, before, before))


def harms_of(operations: list[Operation], change: Change) -> list[str]:
    found, state = [], change.before
    for operation in operations:
        after = state.clone()
        operation.state_forwards(change.app, after)
        step = Change(change.app, state, after, change.new)
        if getattr(operation, "model_name_lower", getattr(operation, "name_lower", None)) not in change.new:
            found.append(harm(operation, step))
        state = after
    return [clause for clause in found if clause]


@singledispatch
def harm(operation: Operation, change: Change) -> str | None:
    if isinstance(operation, HARMLESS):
        return None
    return f"holds {type(operation).__name__}, which cannot be judged"


@harm.register
def _(operation: migrations.CreateModel, change: Change) -> str | None:
    change.new.add(operation.name_lower)
    return None


@harm.register
def _(operation: migrations.AddField, change: Change) -> str | None:
    added = change.new_field(operation, operation.name)
    if not has_column(added) or getattr(added, "generated", False):
        return None
    name = f"{added.model._meta.db_table}.{added.column}"
    if added.has_db_default() and added.unique:
        return f"adds the column {name}, whose default can be there only once"
    if added.null or added.has_db_default():
        return None
    return (
        f"adds the column {name}, NOT NULL and without a default in the database, "
        "so that code that does not know it cannot insert (give it db_default or null=True)"
    )


@harm.register
def _(operation: migrations.RemoveField, change: Change) -> str | None:
    removed = change.old_field(operation, operation.name)
    if removed.many_to_many and removed.remote_field.through._meta.auto_created:
        return f"removes the table {removed.remote_field.through._meta.db_table}"
    if not has_column(removed):
        return None
    return f"removes the column {removed.model._meta.db_table}.{removed.column}"


@harm.register
def _(operation: migrations.AlterField, change: Change) -> str | None:
    old, new = (get(operation, operation.name) for get in (change.old_field, change.new_field))
    table = old.model._meta.db_table
    if old.many_to_many and new.many_to_many:
        same = tables_between(old) == tables_between(new)
        return None if same else f"changes which tables {table}.{old.name} joins"
    if not has_column(old) and not has_column(new):
        return None
    if not has_column(old) or not has_column(new):
        return f"replaces {table}.{old.name} by another kind of field"
    change_of_column = narrowing(column_of(old), column_of(new))
    return f"changes the column {table}.{old.column}, which {change_of_column}" if change_of_column else None


def has_column(field: Any) -> bool:
    """Many-to-many fields have a name for one, and none."""
    return field.column is not None and not field.many_to_many


def tables_between(relation: Any) -> tuple[str, str]:
    return relation.remote_field.through._meta.db_table, relation.related_model._meta.db_table


@harm.register
def _(operation: migrations.RenameField, change: Change) -> str | None:
    old, new = change.old_field(operation, operation.old_name), change.new_field(operation, operation.new_name)
    if old.many_to_many:
        return renamed_table(old.remote_field.through, new.remote_field.through)
    return None if old.column == new.column else f"renames the column {old.model._meta.db_table}.{old.column}"


@harm.register
def _(operation: migrations.RenameModel, change: Change) -> str | None:
    return renamed_table(change.old_model(operation.old_name), change.new_model(operation.new_name))


@harm.register
def _(operation: migrations.AlterModelTable, change: Change) -> str | None:
    return renamed_table(change.old_model(operation.name), change.new_model(operation.name))


def renamed_table(old: type[Model], new: type[Model]) -> str | None:
    return None if old._meta.db_table == new._meta.db_table else f"renames the table {old._meta.db_table}"


@harm.register
def _(operation: migrations.DeleteModel, change: Change) -> str | None:
    options = change.old_model(operation.name)._meta
    return f"removes the table {options.db_table}" if options.managed and not options.proxy else None


@harm.register
def _(operation: migrations.AddConstraint, change: Change) -> str | None:
    return f"adds the constraint {operation.constraint.name}, which code that does not know it may violate"


@harm.register
def _(operation: migrations.RemoveConstraint, change: Change) -> str | None:
    state = change.before.models[change.app, operation.model_name_lower]
    if not isinstance(state.get_constraint_by_name(operation.name), UniqueConstraint):
        return None
    # ON CONFLICT needs it, and get_or_create() relies on it.
    return f"removes the constraint {operation.name}, which older code may rely on"


@harm.register
def _(operation: migrations.AlterUniqueTogether, change: Change) -> str | None:
    old, new = (
        state.models[change.app, operation.name_lower].options.get("unique_together") or ()
        for state in (change.before, change.after)
    )
    return None if set(old) == set(new) else f"changes what is unique together in {operation.name_lower}"


@harm.register
def _(operation: migrations.AlterOrderWithRespectTo, change: Change) -> str | None:
    return f"adds or removes the column _order of {operation.name_lower}"


@harm.register
def _(operation: migrations.SeparateDatabaseAndState, change: Change) -> str | None:
    return ", and ".join(harms_of(list(operation.database_operations), change)) or None
