"""Keeps secrets out of what people are shown: by the name of an argument, and reset links wherever they stand."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

MASK = "••••"
NAMES = r"passw|secret|token|(?:^|_)key$|reset_link|session|authorization|cookie|credential"
SECRET = re.compile(NAMES, re.IGNORECASE)
# A name and its value in JSON or in Python's way of writing a dictionary.
PAIR = re.compile(r"""(["'])([^"']*)\1(\s*:\s*)(["'])(.*?)\4""")
RESET_LINK = re.compile(r"(/accounts/reset/)[^\s\"'<>)\]]+")
QUERY = re.compile(r"([?&](?:token|key|secret|password)=)[^&\s\"']+", re.IGNORECASE)


def mask(value: Any, name: str = "") -> Any:
    if SECRET.search(name) and value not in (None, ""):
        return MASK
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return {key: mask(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mask(item) for item in value]
    return value


def mask_text(text: str, secrets: frozenset[str] = frozenset()) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = PAIR.sub(mask_pair, text)
    return QUERY.sub(rf"\1{MASK}", RESET_LINK.sub(rf"\1{MASK}", text))


def mask_pair(found: re.Match[str]) -> str:
    quote, name, colon, other, value = found.groups()
    return f"{quote}{name}{quote}{colon}{other}{MASK if SECRET.search(name) else value}{other}"


def secrets_in(value: Any, name: str = "") -> frozenset[str]:
    """The strings that `mask` hides, to be hidden in messages too. Short ones would blacken innocent text."""
    return frozenset(found for found in secret_strings(value, name) if len(found) > 3)  # noqa: PLR2004


def secret_strings(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, str) and SECRET.search(name):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from secret_strings(item, str(key) if not SECRET.search(name) else name)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secret_strings(item, name)
