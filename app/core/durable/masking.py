"""Keeps secrets out of what people are shown: by the name of a value, and by their look where that tells."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

MASK = "••••"
WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")
SECRET = re.compile(
    r"passw|passphrase|passcode|credential|authorization|(token|secret|otp)s?\d*(_|$)"
    r"|(^|_)(pass|pwd|pin|jwt|cvv|csrf|bearer)\d*(_|$)|(^|_)auth$|(^|_)sessions?(_?(id|key|data)s?)?$"
    r"|cookies?(_?(value|header|jar)s?)?$|signatures?\d*$|(api|access|private|secret|signing|encryption)_?keys?\d*$"
    r"|(auth|login|backup|recovery|security|verification|2fa|mfa)_?codes?\d*$|(magic|reset)_?(link|url)s?$"
)
# What is about a secret and is none: a letter that was masked for nothing cannot be requeued.
HARMLESS = re.compile(
    r"^(max|min)_|_(count|length|limit|rate|type|name|at|age|ttl|expires|expiry)$|(^|_)e?mail_signature$"
)
NAME = r"(?<![\w.-])([\w.-]{1,60}+)"
# A name with a quoted value: in JSON, in Python's ways of writing a dictionary or a call, and all that inside a string.
QUOTED = re.compile(NAME + r"""(\\*["']?\s{0,5}[:=]\s{0,5}[bru]{0,2})(\\*["'])(.*?)((?<!\\)\3|\Z)""", re.DOTALL)
BARE = re.compile(NAME + r"""(=|\\*["']\s{0,5}:\s{0,5})(?!(?:none|null|true|false)\b)([^\s"'&;,(){}\[\]<>\\]+)""", re.I)
KNOWN = re.compile(
    r"""(/accounts/reset/)[^\s"'<>)\]]+|(\w://[^\s/:@"']{0,200}:)[^\s/"'<>]+(?=@)|([?&]key=)[^&\s"']+"""
    r"|(\b(?:Bearer|Basic)\s{1,5})[\w.~+/=-]{8,}",
    re.IGNORECASE,
)
# Random, by its length and mixture; a UUID is shorter, and an identifier.
RANDOM = re.compile(r"(?<!\w)(?:(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{20,}[\w-]*|[\w-]{40,}|eyJ[\w-]+\.[\w.-]+)")
Hide = Callable[[str], str]


def is_secret(name: str) -> bool:
    words = WORDS.sub("_", name).lower()
    return bool(SECRET.search(words)) and not HARMLESS.search(words)


def mask_text(text: str, secrets: frozenset[str] = frozenset()) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        for written in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]):
            text = text.replace(written, MASK)
    text = BARE.sub(mask_bare, QUOTED.sub(mask_quoted, text))
    return KNOWN.sub(lambda found: "".join(filter(None, found.groups())) + MASK, text)


def mask_nameless(text: str) -> str:
    """`mask_text` for what no name tells about: what looks random is hidden too."""
    return RANDOM.sub(MASK, mask_text(text))


def mask_quoted(found: re.Match[str]) -> str:
    name, between, quote, value, end = found.groups()
    return f"{name}{between}{quote}{MASK if is_secret(name) and value else QUOTED.sub(mask_quoted, value)}{end}"


def mask_bare(found: re.Match[str]) -> str:
    name, between, value = found.groups()
    return f"{name}{between}{MASK if is_secret(name) else value}"


def mask(value: Any, name: str = "", hide: Hide = mask_text) -> Any:
    if is_secret(name) and value not in (None, "") and not isinstance(value, bool):
        return MASK
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {key: mask(item, str(key), hide) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mask(item, hide=hide) for item in value]
    return value


def secrets_in(value: Any, name: str = "") -> frozenset[str]:
    """What `mask` hides by its name, to be hidden in messages too. Short ones would blacken innocent text."""
    return frozenset(found for found in secret_values(value, name) if len(found) > 3)  # noqa: PLR2004


def secret_values(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from secret_values(item, name if is_secret(name) else str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secret_values(item, name)
    elif is_secret(name) and value is not None and not isinstance(value, bool):
        yield str(value)
