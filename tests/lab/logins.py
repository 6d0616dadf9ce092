"""On a host, by the release's Python: of what the input names, each with an address, that whose password is taken."""

import json
import sys

import psycopg
import redis

REFUSALS = ("password authentication failed", "is not permitted to log in")


def opens(address: str) -> bool:
    """Whatever else than the password keeps it shut is raised."""
    try:
        if address.startswith("redis:"):
            redis.Redis.from_url(address).ping()
        else:
            psycopg.connect(address).close()
    except redis.AuthenticationError:
        return False
    except psycopg.OperationalError as error:
        if not any(words in str(error) for words in REFUSALS):
            raise
        return False
    return True


print(json.dumps([name for name, address in json.load(sys.stdin).items() if opens(address)]))
