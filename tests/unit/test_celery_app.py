import contextlib
import io
import logging
from types import SimpleNamespace
from unittest import mock

import redis
from celery.schedules import crontab
from django.conf import settings
from django.test import SimpleTestCase
from kombu import Connection

from config import celery_app
from config.celery import add_dead_letters, debug_task, prepare_beat, prepare_worker, use_django_logging
from core.broker import Channel, Transport


class CeleryAppTests(SimpleTestCase):
    def test_it_knows_the_specifications_tasks(self) -> None:
        names = ("send_welcome_email", "send_password_reset_email", "cleanup_expired_tokens", "request_password_reset")
        celery_app.loader.import_default_modules()

        self.assertEqual(celery_app.main, "django_saas")
        self.assertLessEqual({f"core.tasks.{name}" for name in names}, set(celery_app.tasks))

    def test_mail_goes_to_its_own_queue_and_the_rest_to_the_default(self) -> None:
        route = celery_app.amqp.router.route

        for name in ("send_welcome_email", "send_password_reset_email", "request_password_reset"):
            self.assertEqual(route({}, f"core.tasks.{name}")["queue"].name, "email")
        self.assertEqual(route({}, "core.tasks.cleanup_expired_tokens")["queue"].name, "celery")
        self.assertEqual({queue.name for queue in settings.CELERY_TASK_QUEUES}, {"email", "celery", "dead_letter"})

    def test_beat_cleans_up_daily_at_two(self) -> None:
        entry = celery_app.conf.beat_schedule["cleanup-tokens-daily"]

        self.assertEqual(entry, {"task": "core.tasks.cleanup_expired_tokens", "schedule": crontab(hour=2, minute=0)})

    def test_debug_task_prints_its_request(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            debug_task.delay()

        self.assertIn("config.celery.debug_task", output.getvalue())


class ProcessTests(SimpleTestCase):
    def conf(self, broker_url: str = "redis://localhost/0") -> SimpleNamespace:
        return SimpleNamespace(broker_url=broker_url, broker_transport_options={"visibility_timeout": 3600})

    def test_a_worker_and_beat_wait_longer_than_a_request_may(self) -> None:
        worker, beat = self.conf(), self.conf()

        prepare_worker(conf=worker)
        with self.assertNoLogs("config"):
            prepare_beat(sender=SimpleNamespace(app=SimpleNamespace(conf=beat)))

        for conf in (worker, beat):
            self.assertTrue(conf.task_publish_retry)
            self.assertEqual(conf.broker_transport_options["visibility_timeout"], 3600)
            self.assertGreater(conf.broker_transport_options["socket_timeout"], 1)

    def test_a_worker_on_memory_refuses(self) -> None:
        with self.assertRaises(SystemExit) as caught:
            prepare_worker(conf=self.conf("memory://"))

        self.assertIn("receives nothing", str(caught.exception))

    def test_the_worker_of_the_default_queue_consumes_dead_letters_too(self) -> None:
        for asked, consumed in {
            "email,celery": "email,celery,dead_letter",
            "celery,dead_letter": "celery,dead_letter",
            "email": "email",
            "": "",
        }.items():
            queues = asked.split(",")
            add_dead_letters(options={"queues": queues})

            self.assertEqual(queues, consumed.split(","), asked)

    def test_a_worker_of_no_queues_in_particular_has_all(self) -> None:
        options = {"queues": None}

        add_dead_letters(options=options)

        self.assertEqual(options, {"queues": None})

    def test_beat_on_memory_warns(self) -> None:
        with self.assertLogs("config.celery", "WARNING") as logs:
            prepare_beat(sender=SimpleNamespace(app=SimpleNamespace(conf=self.conf("memory://"))))

        self.assertIn("reaches no worker", logs.output[0])

    def test_a_talkative_command_line_wins(self) -> None:
        logger = logging.getLogger("celery")
        self.addCleanup(logger.setLevel, logger.level)

        use_django_logging(loglevel=logging.INFO)

        self.assertEqual(logger.level, logging.INFO)


class BrokerTests(SimpleTestCase):
    def test_closing_a_lost_connection_again_does_no_harm(self) -> None:
        channel = Channel.__new__(Channel)
        channel.closed = False
        with mock.patch("kombu.transport.redis.Channel.close", side_effect=redis.ConnectionError):
            self.assertRaises(redis.ConnectionError, channel.close)

        self.assertTrue(channel.closed)

    def test_memory_needs_no_host_and_no_warning_about_it(self) -> None:
        with self.assertNoLogs("kombu", "WARNING"), Connection("memory://") as connection:
            connection.info()

    def test_it_is_what_celery_uses_for_redis(self) -> None:
        self.assertIs(Connection("redis://localhost/0").get_transport_cls(), Transport)


class ConnectionTests(SimpleTestCase):
    def test_an_eager_call_leaves_its_callers_connections_alone(self) -> None:
        with mock.patch("config.celery.close_old_connections") as close:
            celery_app.tasks["core.tasks.report_release"].apply()

        close.assert_not_called()
