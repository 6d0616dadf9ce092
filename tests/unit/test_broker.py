from types import SimpleNamespace
from unittest import mock

from django.test import SimpleTestCase
from kombu.transport import redis

from core.broker import Channel


class ClientTests(SimpleTestCase):
    def test_commands_share_a_client_as_long_as_they_share_a_pool(self) -> None:
        channel = Channel.__new__(Channel)
        channel.Client = SimpleNamespace
        pools = [SimpleNamespace(connection_kwargs={}) for _ in range(2)]
        with mock.patch.object(redis.Channel, "pool", new_callable=mock.PropertyMock, return_value=pools[0]) as pool:
            first = channel._create_client()
            self.assertIs(channel._create_client(), first)
            # The connection was lost, and made again.
            pool.return_value = pools[1]
            self.assertIsNot(channel._create_client(), first)
