"""System check of migrations, where a release is checked: loading them takes too long for every command."""

from typing import Any

from django.core.checks import CheckMessage, Error, register


@register(deploy=True)
def check_migrations(**kwargs: Any) -> list[CheckMessage]:
    # It takes the schema editor and every migration along, which only this check needs.
    from core.schema.releases import load, undeclared  # noqa: PLC0415

    hint = "Split it, or declare additive or safe_after: docs/migrations.md."
    return [Error(sentence, hint=hint, id="core.E002") for sentence in undeclared(load())]
