"""Rate limits. The counters live in the database, which these pages cannot do without anyway."""

import time
import unicodedata
from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from accounts.fields import one_spelling
from core.models import RateCounter

# No name or address is longer, and putting accents in order takes quadratic time.
LONGEST = 254
# One statement, so that requests at the same time cannot both be the last one allowed.
COUNT = f"""
    INSERT INTO {RateCounter._meta.db_table} AS counter (key, count, ends_at) VALUES (%(key)s, 1, %(end)s)
    ON CONFLICT (key) DO UPDATE SET
        count = CASE WHEN counter.ends_at <= %(now)s THEN 1 ELSE counter.count + 1 END,
        ends_at = CASE WHEN counter.ends_at <= %(now)s THEN excluded.ends_at ELSE counter.ends_at END
    RETURNING count, ends_at
"""  # noqa: S608


def seconds_to_wait(action: str, request: HttpRequest, account: str) -> int:
    """Count this attempt; return 0 when it is allowed. `account` counts whether it exists or not."""
    limits = settings.RATE_LIMITS[action]
    # Not the account too when the address is over its limit: nobody shall lock others out that way.
    return count(f"{action} address {client_network(request)}", limits["address"]) or count(
        f"{action} account {plain(account)}", limits["account"]
    )


def plain(account: str) -> str:
    """One spelling for all that a look-up may take for the same account: wide, accented, Turkish letters."""
    letters = unicodedata.normalize("NFKD", one_spelling(account.strip()[:LONGEST]).casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()


def count(subject: str, limit: int) -> int:
    if limit == 0:
        return 0
    now = int(time.time())
    key = salted_hmac("core.limits", subject, algorithm="sha256").hexdigest()
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"key": key, "now": now, "end": now + settings.RATE_LIMIT_WINDOW})
        attempts, ends_at = cursor.fetchone()
    return ends_at - now if attempts > limit else 0


def client_network(request: HttpRequest) -> str:
    """The client's address; of IPv6 the first 64 bits, since the rest is the client's to choose."""
    address = client_address(request)
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(int(parsed) >> 64) if isinstance(parsed, IPv6Address) else address


def client_address(request: HttpRequest) -> str:
    # Over Gunicorn's socket there is no peer address, and only nginx writes there: what it appended is true.
    peer: str = request.META.get("REMOTE_ADDR", "")
    return peer or request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()


def forget_ended() -> int:
    deleted, _ = RateCounter.objects.filter(ends_at__lte=int(time.time())).delete()
    return deleted
