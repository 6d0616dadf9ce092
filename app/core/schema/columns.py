"""What a field is in PostgreSQL, whatever the database in use: SQLite's types would hide what production refuses."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db.utils import ConnectionHandler

INTEGERS = ("smallint", "integer", "bigint")


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    null: bool
    unique: bool
    primary_key: bool
    check: str | None
    collation: str | None
    default: bool
    generated: str
    refers_to: tuple[str, str] | None


@cache
def postgresql() -> Any:
    """Knows the types; it is never connected."""
    return ConnectionHandler({"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "none"}})["default"]


def column_of(field: Any) -> Column:
    """Of a field on a rendered model."""
    parameters: dict[str, Any] = dict(field.db_parameters(postgresql()))
    target = field.remote_field and getattr(field, "db_constraint", False) and field.target_field
    return Column(
        name=field.column,
        type=parameters["type"],
        null=field.null,
        unique=field.unique,
        primary_key=field.primary_key,
        check=parameters["check"],
        collation=parameters.get("collation"),
        default=field.has_db_default(),
        generated=repr(getattr(field, "expression", "")),
        refers_to=(target.model._meta.db_table, target.column) if target else None,
    )


def narrowing(old: Column, new: Column) -> str | None:
    """What code that knows the old column could trip over, if anything."""
    changes = {
        "is renamed": old.name != new.name,
        f"becomes {new.type}": not widens(old.type, new.type),
        "becomes NOT NULL": old.null and not new.null,
        "becomes unique": new.unique and not old.unique,
        # ON CONFLICT names it, and get_or_create() relies on it.
        "is no longer unique": old.unique and not new.unique,
        "is another kind of primary key": old.primary_key != new.primary_key,
        "gets a check": new.check not in (None, old.check),
        "gets another collation": old.collation != new.collation,
        "loses its default in the database": old.default and not (new.default or new.null),
        "is generated differently": old.generated != new.generated,
        "refers to another table": new.refers_to not in (None, old.refers_to),
    }
    return next((change for change, happens in changes.items() if happens), None)


def widens(old: str, new: str) -> bool:
    """Whether all that fitted still does, the unchanged included."""
    if old == new or (old.startswith("varchar") and new in ("varchar", "text")):
        return True
    if old in INTEGERS and new in INTEGERS:
        return INTEGERS.index(old) < INTEGERS.index(new)
    before, after = (re.fullmatch(r"varchar\((\d+)\)", kind) for kind in (old, new))
    return bool(before and after and int(before[1]) < int(after[1]))
