from typing import Any

from kombu.transport import TRANSPORT_ALIASES, memory, redis


class Channel(redis.Channel):
    def close(self) -> None:
        try:
            super().close()
        except redis.Transport.connection_errors:
            # Celery closes twice when Redis is lost. The second time it would look for unacknowledged messages, on a
            # connection that has forgotten its address, and that ends the worker (celery 5.7.0, kombu 5.7.0).
            self.closed = True
            raise


class Transport(redis.Transport):
    Channel: Any = Channel


class MemoryTransport(memory.Transport):
    # Kombu would fill in a host for memory://, and warn that it did.
    default_connection_params: dict[str, Any] = {}


def install() -> None:
    TRANSPORT_ALIASES["redis"] = TRANSPORT_ALIASES["rediss"] = f"{__name__}:{Transport.__qualname__}"
    TRANSPORT_ALIASES["memory"] = f"{__name__}:{MemoryTransport.__qualname__}"
