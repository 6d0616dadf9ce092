import json
from typing import Any

from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES, memory, redis

# What it means that the broker is away; anything else that publishing raises lies with the message.
AWAY: tuple[type[BaseException], ...] = (
    *redis.Transport.connection_errors,
    *redis.Transport.channel_errors,
    OSError,
    OperationalError,
)
# In a message's headers: it has waited its turn already and is put where the oldest are.
FIRST = "first"


class Channel(redis.Channel):
    commands: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        """Kombu makes a client for each command, which takes longer than the command (kombu 5.7.0, redis 8.1.0)."""
        if not asynchronous and self.commands and self.commands.connection_pool is self.pool:
            return self.commands
        client = super()._create_client(asynchronous)  # type: ignore[misc]  # the stubs leave it out
        if not asynchronous:
            self.commands = client
        return client

    def close(self) -> None:
        try:
            super().close()
        except redis.Transport.connection_errors:
            # Celery closes twice when Redis is lost. The second time it would look for unacknowledged messages, on a
            # connection that has forgotten its address, and that ends the worker (celery 5.7.0, kombu 5.7.0).
            self.closed = True
            raise

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        if not message["headers"].get(FIRST):
            super()._put(queue, message, **kwargs)
            return
        with self.conn_or_acquire() as client:
            client.rpush(self.key(queue, self._get_message_priority(message, reverse=False)), json.dumps(message))

    def oldest(self, queue: str, priority: int, count: int) -> list[dict[str, Any]]:
        """The messages that are next to be taken from the queue; an empty one for what cannot be read."""
        with self.conn_or_acquire() as client:
            raw = client.lrange(self.key(queue, priority), -count, -1)
        return [readable(message) for message in reversed(raw)]

    def fetched_since(self, moment: float) -> list[dict[str, Any]]:
        """The messages that workers have taken since then, in seconds since 1970, and not acknowledged."""
        with self.conn_or_acquire() as client:
            tags = client.zrangebyscore(self.unacked_index_key, moment, "+inf")
            raw = client.hmget(self.unacked_key, tags) if tags else []
        return [json.loads(noted)[0] for noted in raw if noted]

    def key(self, queue: str, priority: int) -> str:
        return str(self._q_for_pri(queue, priority))  # type: ignore[attr-defined]


def readable(raw: bytes) -> dict[str, Any]:
    try:
        message = json.loads(raw)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


class Transport(redis.Transport):
    Channel: Any = Channel


class MemoryTransport(memory.Transport):
    # Kombu would fill in a host for memory://, and warn that it did.
    default_connection_params: dict[str, Any] = {}


def install() -> None:
    TRANSPORT_ALIASES["redis"] = TRANSPORT_ALIASES["rediss"] = f"{__name__}:{Transport.__qualname__}"
    TRANSPORT_ALIASES["memory"] = f"{__name__}:{MemoryTransport.__qualname__}"
