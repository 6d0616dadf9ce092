import json
import logging
import os
from typing import Any
from unittest.mock import patch

from django.test import SimpleTestCase

from core.identifiers import Identifiers, on_behalf_of
from core.sentry import SentryHandler
from tests.integration.sentry import Sentry

ADDRESSES = ("bo@example.org", "bö@bücher.example")
PASSWORD = "opensesame"
TOKEN = "dig664-0123"


class SentryTests(SimpleTestCase):
    def setUp(self) -> None:
        self.sentry = Sentry()
        self.addCleanup(self.sentry.stop)
        self.handler = SentryHandler(self.sentry.dsn, "abc123")
        self.handler.addFilter(Identifiers())
        self.addCleanup(self.handler.close)
        self.log = logging.Logger("core.any")
        self.log.addHandler(self.handler)

    def sent(self) -> dict[str, Any]:
        self.handler.flush()
        event: dict[str, Any] = self.sentry.events[0]
        return event

    def test_an_error_has_its_text_its_release_and_its_place(self) -> None:
        try:
            fail()
        except ValueError:
            self.log.exception("Task %s failed", 7)

        event = self.sent()

        self.assertEqual((event["level"], event["logger"], event["release"]), ("error", "core.any", "abc123"))
        self.assertEqual(event["logentry"], {"message": "Task %s failed", "formatted": "Task 7 failed"})
        self.assertEqual(event["exception"]["values"][0]["stacktrace"]["frames"][-1]["function"], "fail")

    def test_it_has_nobodys_data(self) -> None:
        try:
            fail()
        except ValueError:
            self.log.exception("To %s", ADDRESSES[1], extra={"request": ADDRESSES[0]})

        value = self.sent()["exception"]["values"][0]["value"]

        self.assertEqual(value, "No mail to •••• by smtp://••••@mail: /accounts/reset/••••")
        for secret in (*ADDRESSES, PASSWORD, TOKEN, "vars"):
            self.assertNotIn(json.dumps(secret)[1:-1], self.sentry.text)

    def test_what_postgresql_quotes_is_nobodys_business(self) -> None:
        self.log.error("duplicate key\nDETAIL:  Key (username)=(bo) already exists.\nHINT: none")

        self.assertEqual(self.sent()["logentry"]["formatted"], "duplicate key\nDETAIL:  ••••\nHINT: none")

    def test_the_identifiers_are_tags(self) -> None:
        with on_behalf_of("c0ffee"):
            self.log.error("Oh", extra={"task_id": "1", "task_name": "core.tasks.any", "user_id": "7"})

        tags = {"request_id": "c0ffee", "task_id": "1", "task_name": "core.tasks.any", "user_id": "7"}
        self.assertEqual(self.sent()["tags"], tags)

    def test_its_own_troubles_are_not_sent(self) -> None:
        own = logging.Logger("sentry_sdk.errors")
        own.addHandler(self.handler)

        own.error("No network")
        self.log.critical("Oh")

        self.assertEqual(self.sent()["level"], "fatal")

    def test_a_record_that_cannot_be_sent_hurts_nobody(self) -> None:
        with patch.object(logging, "raiseExceptions", new=False):
            self.log.error("%d", "no number")
        self.log.error("Oh")

        self.assertEqual(self.sent()["logentry"]["formatted"], "Oh")

    def test_a_child_sends_its_own_and_none_of_its_parents(self) -> None:
        self.log.error("parent")
        child = os.fork()
        if not child:
            self.log.error("child")
            self.handler.flush()
            os._exit(0)
        os.waitpid(child, 0)
        self.sent()

        texts = sorted(event["logentry"]["formatted"] for event in self.sentry.events)
        self.assertEqual(texts, ["child", "parent"])


# Down here, since what surrounds a line of an exception's traceback is sent with it.
def fail() -> None:
    address = ADDRESSES[0]
    raise ValueError(f"No mail to {address} by smtp://user:{PASSWORD}@mail: /accounts/reset/Mg/{TOKEN}/")
