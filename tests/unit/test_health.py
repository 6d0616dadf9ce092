import io
import json
import socket
from typing import Any
from unittest import mock

import psycopg
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import TestCase, override_settings

from core import health

# Nothing listens on port 1.
NO_BROKER = "redis://127.0.0.1:1/0"
NO_DATABASE: dict[str, Any] = {"attribute": "cursor", "side_effect": OperationalError("db.example.org is away")}


class HealthTests(TestCase):
    url = "/health/"
    broken_brokers = {
        "redis+socket:///missing": "ConnectionError",
        "rediss://127.0.0.1:1/0": "ConnectionError",
        "sentinel://127.0.0.1:1/0": "ValueError",
    }

    def test_it_is_ok(self) -> None:
        response = self.client.get(self.url)

        self.assertEqual((response.status_code, response.json()), (200, {"status": "ok"}))

    def test_it_fails_without_the_database_and_names_no_host(self) -> None:
        with mock.patch.object(connection, **NO_DATABASE), self.assertLogs("core.health", "ERROR"):
            response = self.client.get(self.url)

        self.assertEqual((response.status_code, response.content), (503, b'{"status": "error"}'))

    @override_settings(CELERY_BROKER_URL=NO_BROKER)
    def test_it_is_ok_without_the_broker_and_logs_a_warning(self) -> None:
        with self.assertLogs("core.health", "WARNING") as logs:
            response = self.client.get(self.url)

        self.assertEqual((response.status_code, response.json()), (200, {"status": "ok"}))
        self.assertEqual(logs.output, ["WARNING:core.health:The broker does not answer: ConnectionError"])

    def test_it_is_ok_whatever_is_wrong_with_the_broker(self) -> None:
        for url, error in self.broken_brokers.items():
            with self.subTest(url), override_settings(CELERY_BROKER_URL=url), self.assertLogs("core.health") as logs:
                response = self.client.get(self.url)

                self.assertEqual(response.json(), {"status": "ok"})
            self.assertIn(error, logs.output[0])

    def test_it_asks_over_a_socket_file_too(self) -> None:
        client = health.redis_client("redis+socket://user:pw@/run/redis.sock?virtual_host=3")

        arguments = client.connection_pool.connection_kwargs
        wanted = {"path": "/run/redis.sock", "db": 3, "username": "user", "password": "pw", "socket_timeout": 0.4}
        self.assertEqual({name: arguments[name] for name in wanted}, wanted)

    def test_it_is_not_kept_by_caches(self) -> None:
        self.assertIn("no-store", self.client.get(self.url).headers["Cache-Control"])

    def test_it_broadcasts_nothing(self) -> None:
        with mock.patch("celery.app.control.Control.broadcast") as broadcast:
            self.client.get(self.url)

        broadcast.assert_not_called()

    def test_a_silent_database_is_cut_off(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs, health.given_up_after(0.05):
            health.cut_connection(mock.Mock(spec=psycopg.Connection, fileno=ours.fileno))
            self.assertEqual(theirs.recv(1), b"")


class HealthCommandTests(TestCase):
    def run_command(self, *arguments: str) -> tuple[object, str]:
        output = io.StringIO()
        with self.assertRaises(SystemExit) as caught:
            call_command("health", *arguments, stdout=output)
        return caught.exception.code, output.getvalue()

    def test_it_tells_people(self) -> None:
        self.assertEqual(self.run_command(), (0, "database: ok\nbroker: ok\n"))

    def test_it_tells_scripts(self) -> None:
        with override_settings(CELERY_BROKER_URL=NO_BROKER):
            code, output = self.run_command("--json")

        self.assertEqual((code, json.loads(output)), (2, {"database": True, "broker": False}))

    def test_it_fails_without_the_database(self) -> None:
        with mock.patch.object(connection, **NO_DATABASE):
            self.assertEqual(self.run_command(), (1, "database: does not answer\nbroker: ok\n"))
