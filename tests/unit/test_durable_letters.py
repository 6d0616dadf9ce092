import json
from datetime import timedelta
from functools import partial
from io import StringIO
from typing import Any
from unittest import mock
from uuid import uuid4

from celery.worker.consumer import Consumer
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError
from django.forms.models import model_to_dict
from django.urls import reverse
from django.utils.timezone import now
from kombu.exceptions import DecodeError
from kombu.exceptions import OperationalError as BrokerError

from accounts.models import User
from config.celery import app
from core.durable import composing, execution, letters, operations, outbox, patience
from core.durable.failures import BuryingConsumer
from core.durable.masking import MASK
from core.management.commands.dead_letters import Command
from core.models import DeadLetter, TaskRecord
from core.tasks import request_password_reset, send_password_reset_email, send_welcome_email
from tests.unit import factories
from tests.unit.durable import DurableCase

State = TaskRecord.State
URL = "https://example.org/accounts/login/"
LINK = "https://example.org/accounts/reset/MQ/abc-0123456789/"


class LetterCase(DurableCase):
    def setUp(self) -> None:
        super().setUp()
        self.user = factories.user()

    def bury(self, **changes: object) -> DeadLetter:
        with self.committed():
            result = send_welcome_email.delay(user_id=self.user.pk, login_url=URL)
        with mock.patch("core.mails.send_welcome", side_effect=ValueError("bug")), self.assertLogs("celery"):
            self.work()
        DeadLetter.objects.filter(pk=result.id).update(**changes)
        return DeadLetter.objects.get(pk=result.id)


class SecretsTests(LetterCase):
    def test_a_reset_link_is_in_no_letter_and_no_longer_in_the_record(self) -> None:
        with self.committed():
            send_password_reset_email.delay(self.user.pk, LINK)
        with mock.patch("core.mails.send_password_reset", side_effect=ValueError(f"bad: {LINK}")), self.assertLogs():
            self.work()

        letter = DeadLetter.objects.get()
        self.assertEqual((letter.args, letter.masked), ([self.user.pk, MASK], True))
        self.assertNotIn("abc-0123456789", letter.exception + letter.traceback)
        self.assertEqual(self.record().payload, "")

    def shown(self, body: Any, *args: str) -> list[str]:
        with mock.patch.dict(app.tasks, {"tests.named": mock.Mock(run=body)}):
            shown: list[str] = composing.letter("id", "tests.named", "q", args, {}, None, "why")["args"]
        return shown

    def test_what_is_collected_has_the_name_that_it_is_collected_under(self) -> None:
        def log_in(user: str, *passwords: str) -> None: ...

        def show(user: str, *lines: str, password: str | None = None) -> None: ...

        self.assertEqual(self.shown(log_in, "bo", "one", "two"), ["bo", MASK, MASK])
        self.assertEqual(self.shown(show, "bo", "one", "two"), ["bo", "one", "two"])


class StoreTests(LetterCase):
    def test_storing_again_changes_nothing(self) -> None:
        letter = self.bury()
        content = composing.compose(self.record(), None, "again") | {"attempts": 1}

        self.assertIn("out of date", letters.store(content))
        self.assertEqual(DeadLetter.objects.get(), letter)
        self.assertEqual(DeadLetter.objects.get().reason, "permanent error")

    def test_the_record_stays_open_when_the_row_cannot_be_written(self) -> None:
        self.bury()
        TaskRecord.objects.update(state=State.FAILED, closed_at=None)
        content = composing.compose(self.record(), None, "again")
        refused = mock.patch.object(DeadLetter.objects, "update_or_create", side_effect=OperationalError)
        with refused, self.assertRaises(OperationalError):
            letters.store(content)

        self.assertEqual((self.record().state, self.record().closed_at), (State.FAILED, None))

    def test_a_discarded_letter_does_not_come_back(self) -> None:
        letter = self.bury()
        content = composing.compose(self.record(), None, "again") | {"attempts": 1}
        operations.discard(letter)

        letters.store(content)

        self.assertFalse(DeadLetter.objects.exists())

    def test_a_letter_about_an_earlier_run_is_refused(self) -> None:
        self.bury()
        TaskRecord.objects.update(state=State.RUNNING, attempts=2)
        DeadLetter.objects.all().delete()

        letters.store(composing.compose(self.record(), None, "late") | {"attempts": 1})

        self.assertFalse(DeadLetter.objects.exists())

    def test_a_letter_holds_what_postgresql_would_refuse_in_a_way_that_it_takes(self) -> None:
        args = ["nul \0", "half \ud800", float("nan"), {"\0": 1}]
        content = composing.letter("some-id", "t" * 300, "q", args, {}, ValueError("\0 \ud800"), letters.UNKNOWN_TASK)
        letters.store(content)

        letter = DeadLetter.objects.get()
        self.assertEqual(letter.args, ["nul \ufffd", "half ?", "nan", {"\ufffd": 1}])
        self.assertEqual((letter.exception, len(letter.task)), ("ValueError: \ufffd ?", 255))

    def test_a_number_of_attempts_that_no_column_holds_is_brought_within_its_bounds(self) -> None:
        content = composing.letter("some-id", "t", "q", [], {}, None, letters.UNKNOWN_TASK)
        for attempts, held in ((2**80, 2**31 - 1), (-1, 0), (3, 3)):
            with self.subTest(attempts):
                letters.store(content | {"attempts": attempts})
                self.assertEqual(DeadLetter.objects.get().attempts, held)


class RequeueTests(LetterCase):
    def requeue(self) -> None:
        with self.committed():
            call_command("dead_letters", "requeue", "--all", stdout=StringIO())

    def test_one_that_succeeds_is_gone(self) -> None:
        self.bury()
        self.requeue()
        self.work()

        self.assertFalse(DeadLetter.objects.exists())
        self.assertEqual(self.record().state, State.DONE)
        self.assertEqual(len(mail.outbox), 1)

    def test_one_that_fails_again_is_one_row(self) -> None:
        letter = self.bury()
        self.requeue()
        with mock.patch("core.mails.send_welcome", side_effect=ValueError("still")), self.assertLogs("celery"):
            self.work()

        again = DeadLetter.objects.get()
        self.assertEqual((again.pk, again.attempts, again.exception), (letter.pk, 2, "ValueError: still"))

    def test_one_that_expired_before_it_began_runs_all_the_same(self) -> None:
        with self.committed():
            send_welcome_email.apply_async((self.user.pk, URL), expires=-1)
        self.fetch("email")
        letters.store(composing.compose(self.record(), None, letters.UNKNOWN_TASK))
        self.requeue()
        self.work()

        self.assertEqual(len(mail.outbox), 1)

    def test_one_with_masked_arguments_is_refused(self) -> None:
        self.bury(masked=True)

        with self.assertRaisesMessage(CommandError, "among its arguments was not kept. Call the task again"):
            self.requeue()
        self.assertTrue(DeadLetter.objects.exists())

    def test_one_that_could_not_be_read_is_refused(self) -> None:
        self.bury(reason=letters.UNDECODABLE)

        with self.assertRaisesMessage(CommandError, "its message could not be read. Call the task again"):
            self.requeue()
        self.assertTrue(DeadLetter.objects.exists())

    def test_of_two_people_who_requeue_it_one_is_told_that_the_other_has(self) -> None:
        letter = self.bury()
        self.requeue()
        self.work()

        for action in (operations.requeue, operations.discard):
            with self.subTest(action), self.assertRaisesMessage(operations.RefusedError, "somebody else has"):
                action(letter)
        self.assertEqual(self.record().state, State.DONE)
        self.assertEqual(len(mail.outbox), 1)

    def test_one_is_requeued_while_the_broker_is_away(self) -> None:
        self.bury()
        with mock.patch.object(outbox, "send", side_effect=OSError), self.assertLogs("core.durable", "WARNING"):
            self.requeue()

        self.assertFalse(DeadLetter.objects.exists())
        self.assertEqual(self.record().state, State.WAITING)

    def test_a_reset_request_that_failed_can_be_requeued(self) -> None:
        with self.committed():
            request_password_reset.delay("bo@example.org")
        with mock.patch("core.mails.send_password_reset", side_effect=ValueError("bug")), self.assertLogs("celery"):
            self.work()
        self.assertEqual(DeadLetter.objects.get().args, ["bo@example.org"])
        self.requeue()
        self.work()

        self.assertEqual([message.to for message in mail.outbox], [["bo@example.org"]])

    def test_one_of_an_unknown_task_is_sent_as_it_was(self) -> None:
        content = composing.letter("some-id", "core.tasks.gone", "celery", [1], {"x": 2}, None, letters.UNKNOWN_TASK)
        letters.store(content)
        self.requeue()

        (message,) = self.fetch("celery")
        self.assertEqual((message.headers["task"], message.headers["id"]), ("core.tasks.gone", "some-id"))
        self.assertEqual(message.decode()[:2], [[1], {"x": 2}])
        self.assertFalse(DeadLetter.objects.exists())

    def test_its_letter_stays_when_the_broker_is_away(self) -> None:
        letters.store(composing.letter("some-id", "core.tasks.gone", "celery", [], {}, None, letters.UNKNOWN_TASK))

        away = self.assertRaisesMessage(CommandError, "core.tasks.gone[some-id] stays: the broker is away (OSError)")
        with mock.patch.object(app, "send_task", side_effect=OSError), away:
            self.requeue()
        self.assertTrue(DeadLetter.objects.exists())


class PlainTaskTests(LetterCase):
    def test_its_failure_is_a_dead_letter_too(self) -> None:
        app.send_task("core.tasks.cleanup_expired_tokens", task_id="nightly", queue="celery")
        with mock.patch("core.sessions.delete_expired", side_effect=ValueError("bug")), self.assertLogs("celery"):
            self.work()

        letter = DeadLetter.objects.get()
        self.assertEqual((letter.pk, letter.task), ("nightly", "core.tasks.cleanup_expired_tokens"))
        self.assertEqual(letter.queue, "celery")

    def test_a_durable_message_that_could_not_be_recorded_is_a_dead_letter_too(self) -> None:
        key = app.send_task("core.tasks.send_welcome_email", (0, URL)).id
        with mock.patch.object(execution, "adopt", side_effect=ValueError("bug")), self.assertLogs("celery"):
            self.work()

        letter = DeadLetter.objects.get()
        self.assertEqual((letter.pk, letter.exception), (key, "ValueError: bug"))

    def test_one_that_could_not_be_looked_up_either_is_a_dead_letter_too(self) -> None:
        key = app.send_task("core.tasks.send_welcome_email", (0, URL)).id
        no_table = mock.patch.object(TaskRecord.objects, "filter", side_effect=ProgrammingError)
        bug = mock.patch.object(execution, "adopt", side_effect=ProgrammingError)
        with bug, no_table, self.assertLogs("celery"):
            self.execute(*self.fetch("email"))
        self.work()

        self.assertEqual(DeadLetter.objects.get().pk, key)

    def test_its_letter_does_not_depend_on_what_its_headers_say(self) -> None:
        for retries, attempts in ((None, 1), ("x", 1), (2, 3)):
            with self.subTest(retries), self.assertLogs("celery"):
                headers = {"retries": retries}
                key = app.send_task("core.tasks.cleanup_expired_tokens", (1,), queue="celery", headers=headers).id
                self.work()
                self.assertEqual(DeadLetter.objects.get(pk=key).attempts, attempts)

    def test_its_discarded_letter_does_not_come_back_when_its_message_does(self) -> None:
        for key in ("nightly", str(uuid4())):
            for round_ in ("first", "again"):
                app.send_task("core.tasks.cleanup_expired_tokens", task_id=key, queue="celery")
                bug = mock.patch("core.sessions.delete_expired", side_effect=ValueError("bug"))
                with self.subTest(key, round=round_), bug, self.assertLogs("celery"):
                    self.work()
                    self.assertEqual(DeadLetter.objects.count(), round_ == "first")
                for letter in DeadLetter.objects.all():
                    operations.discard(letter)

    def fail_while_the_broker_is_away(self) -> list[str]:
        app.send_task("core.tasks.cleanup_expired_tokens", task_id="nightly", queue="celery")
        bug = mock.patch("core.sessions.delete_expired", side_effect=ValueError("bug"))
        with bug, mock.patch.object(app, "send_task", side_effect=OSError), self.assertLogs() as logs:
            self.work()
        return [line for line in logs.output if "dead letter" in line]

    def test_its_letter_is_stored_at_once_while_the_broker_is_away(self) -> None:
        self.assertEqual(self.fail_while_the_broker_is_away(), [])
        self.assertEqual(DeadLetter.objects.get().pk, "nightly")

    def test_its_letter_waits_for_a_database_that_restarts_too(self) -> None:
        restarting = mock.patch.object(letters, "store", side_effect=[OperationalError, "stored"])
        with restarting, mock.patch.object(patience, "connection", mock.Mock(in_atomic_block=False)):
            self.assertEqual(self.fail_while_the_broker_is_away(), [])

    def test_that_its_letter_is_lost_is_an_error_in_the_log(self) -> None:
        with mock.patch.object(letters, "store", side_effect=OperationalError):
            (line,) = self.fail_while_the_broker_is_away()

        self.assertTrue(line.startswith("ERROR:"))
        self.assertIn("core.tasks.cleanup_expired_tokens[nightly] is lost: broker and database are away", line)


class BuryingConsumerTests(LetterCase):
    """What the worker's consumer does with a message before Celery drops it; the rest needs a worker."""

    def setUp(self) -> None:
        super().setUp()
        self.consumer = object.__new__(BuryingConsumer)
        self.consumer.app, self.consumer.hostname = app, "email@test"

    def bury_message(self, body: Any, reason: str, **how: Any) -> DeadLetter:
        self.connection.Producer().publish(body, routing_key="celery", **how)
        (message,) = self.fetch("celery")
        self.consumer.bury(message, reason, ValueError("why"))
        self.work()
        return DeadLetter.objects.get()

    def test_an_unknown_task_keeps_its_arguments_without_secrets(self) -> None:
        headers = {"id": "some-id", "task": "core.tasks.gone"}
        letter = self.bury_message([[1], {"token": "abcdef"}, {}], letters.UNKNOWN_TASK, headers=headers)

        self.assertEqual((letter.pk, letter.task, letter.queue), ("some-id", "core.tasks.gone", "celery"))
        self.assertEqual((letter.args, letter.kwargs, letter.masked), ([1], {"token": MASK}, True))
        self.assertEqual(letter.exception, "ValueError: why")

    def test_what_are_no_arguments_or_nested_too_deep_is_not_kept(self) -> None:
        nested: Any = []
        for _ in range(700):
            nested = [nested]
        for number, body in enumerate(([1, 2, 3], ["args", {}, {}], [[nested], {}, {}], [[], {"x": nested}, {}])):
            headers = {"id": "some-id", "task": "core.tasks.gone"}
            with self.subTest(number):
                letter = self.bury_message(body, letters.UNKNOWN_TASK, headers=headers)
                self.assertEqual((letter.args, letter.masked), ([], True))
                self.assertRaises(operations.RefusedError, operations.requeue, letter)

    def test_a_broker_that_fails_meanwhile_restarts_the_consumer_and_does_not_end_the_worker(self) -> None:
        away = mock.patch.object(letters, "send", side_effect=BrokerError)

        with away, self.assertRaises(ConnectionError):
            self.bury_message([[], {}, {}], letters.UNKNOWN_TASK, headers={"id": "some-id", "task": "core.tasks.gone"})

    def test_a_durable_call_of_an_unknown_task_is_closed_with_its_letter_and_can_be_requeued(self) -> None:
        with self.committed():
            result = send_welcome_email.delay(self.user.pk, URL)
        (message,) = self.fetch("email")
        self.consumer.bury(message, letters.UNKNOWN_TASK, KeyError("core.tasks.send_welcome_email"))
        self.work()
        self.assertEqual(self.record().state, State.DEAD)

        letter = DeadLetter.objects.get()
        self.assertEqual((letter.pk, letter.reason), (result.id, "unknown task"))
        with self.committed():
            operations.requeue(letter)
        self.work()
        self.assertEqual(len(mail.outbox), 1)

    def test_a_durable_call_whose_message_cannot_be_read_stays_open(self) -> None:
        with self.committed():
            send_welcome_email.delay(self.user.pk, URL)
        (message,) = self.fetch("email")
        self.consumer.bury(message, letters.UNDECODABLE, None)
        self.work()

        self.assertEqual(self.record().state, State.PUBLISHED)
        self.assertFalse(DeadLetter.objects.exists())

    def test_a_message_without_an_id_is_one_row_however_often_it_comes(self) -> None:
        how = {"content_type": "application/data", "content_encoding": "binary"}
        first = self.bury_message(b"\xff rubbish", letters.UNDECODABLE, **how)
        second = self.bury_message(b"\xff rubbish", letters.UNDECODABLE, **how)

        self.assertEqual((first.pk, first.task), (second.pk, "unknown"))
        self.assertIn("rubbish", first.kwargs["body"])

    def test_it_buries_before_celery_drops(self) -> None:
        order: list[str] = []
        bury = mock.patch.object(self.consumer, "bury", lambda *arguments: order.append(arguments[1]))
        methods = {
            "on_unknown_task": (None, None, ValueError()),
            "on_unknown_message": (None, None),
            "on_decode_error": (None, ValueError()),
            "on_invalid_task": (None, None, ValueError()),
        }
        for name, arguments in methods.items():
            drop = mock.patch.object(Consumer, name, side_effect=lambda *_: order.append("dropped"))
            with self.subTest(name), bury, drop:
                getattr(self.consumer, name)(*arguments)

        undecodable = [letters.UNDECODABLE, "dropped"]
        self.assertEqual(order, [letters.UNKNOWN_TASK, "dropped", *undecodable * 3])

    def test_of_an_unknown_task_what_looks_like_a_secret_is_masked(self) -> None:
        headers = {"id": "some-id", "task": "core.tasks.gone"}
        args = [1, "bo", "redis://:pw@h/0", ["x4hnk2p0qz7d1v9w3m5c8t6y0b2r4f1g"]]
        letter = self.bury_message([args, {}, {}], letters.UNKNOWN_TASK, headers=headers)

        self.assertEqual(letter.args, [1, "bo", f"redis://:{MASK}@h/0", [MASK]])

    def test_celerys_own_lines_leave_the_message_out(self) -> None:
        headers = {"id": "some-id", "task": "core.tasks.gone", "argsrepr": "('hunter2',)"}
        self.connection.Producer().publish([["hunter2"], {}, {}], routing_key="celery", headers=headers)
        (message,) = self.fetch("celery")
        message.ack, message.reject_log_error = mock.Mock(), mock.Mock()
        consumer: Any = mock.Mock(_message_report=partial(vars(Consumer)["_message_report"], None))
        error = DecodeError(UnicodeDecodeError("utf-8", b"hunter2", 0, 1, "bad"))
        with self.assertLogs("celery") as logs:
            Consumer.on_unknown_task(consumer, None, message, KeyError("core.tasks.gone"))
            Consumer.on_unknown_message(consumer, None, message)
            Consumer.on_decode_error(consumer, message, error)
            Consumer.on_invalid_task(consumer, None, message, error)

        self.assertEqual(len(logs.output), 4)
        self.assertNotIn("hunter2", "".join(logs.output))
        self.assertIn("Received unregistered task of type 'core.tasks.gone'.", logs.output[0])

    def test_a_body_that_cannot_be_decoded_is_shown_as_it_is(self) -> None:
        headers = {"id": "some-id", "task": "core.tasks.gone"}
        how = {"content_type": "application/json", "content_encoding": "utf-8", "headers": headers}
        letter = self.bury_message(f"not json {LINK}", letters.UNKNOWN_TASK, **how)

        self.assertEqual(letter.kwargs, {"body": f"not json https://example.org/accounts/reset/{MASK}"})


class CommandTests(LetterCase):
    def call(self, *arguments: str) -> str:
        output = StringIO()
        call_command("dead_letters", *arguments, stdout=output, stderr=StringIO())
        return output.getvalue()

    def test_list_shows_a_line_each(self) -> None:
        letter = self.bury()

        self.assertIn(f"{letter.pk}  ", self.call("list"))
        self.assertIn("ValueError: bug", self.call("list"))

    def test_list_as_json_can_be_filtered_by_task_and_age(self) -> None:
        self.bury(failed_at=now() - timedelta(hours=3))

        self.assertEqual(len(json.loads(self.call("list", "--json", "--older-than", "2h"))), 1)
        self.assertEqual(json.loads(self.call("list", "--json", "--newer-than", "2h")), [])
        self.assertEqual(json.loads(self.call("list", "--json", "--task", "core.tasks.other")), [])

    def test_show_has_everything(self) -> None:
        letter = self.bury()

        (shown,) = json.loads(self.call("show", letter.pk, "--json"))
        self.assertIn("Traceback", shown["traceback"])
        self.assertIn("reason: permanent error", self.call("show", letter.pk))

    def test_discard_removes_the_letter_and_closes_the_record(self) -> None:
        letter = self.bury()

        self.assertEqual(
            json.loads(self.call("discard", letter.pk, "--json")), {"discarded": [letter.pk], "refused": {}}
        )
        self.assertFalse(DeadLetter.objects.exists())
        self.assertEqual((self.record().state, self.record().payload), (State.DONE, ""))

    def test_it_wants_to_be_told_which(self) -> None:
        for action in ("show", "requeue", "discard"):
            with self.subTest(action), self.assertRaisesMessage(CommandError, action):
                self.call(action)

    def test_it_names_a_letter_that_is_not_there(self) -> None:
        with self.assertRaisesMessage(CommandError, "There is no dead letter nothing."):
            self.call("show", "nothing")

    def test_it_refuses_an_age_it_cannot_read(self) -> None:
        for age in ("soon", "999999d"):
            with self.subTest(age), self.assertRaisesMessage(CommandError, "An age is"):
                self.call("list", "--older-than", age)

    def test_an_age_it_cannot_read_is_an_error_of_usage(self) -> None:
        with mock.patch("sys.stderr", StringIO()) as stderr, self.assertRaises(SystemExit) as end:
            Command().run_from_argv(["manage.py", "dead_letters", "list", "--older-than", "1w"])

        self.assertEqual(end.exception.code, 2)
        self.assertIn("error: argument --older-than: An age is a number", stderr.getvalue())

    def test_no_age_at_all_is_an_age(self) -> None:
        letter = self.bury()

        self.assertEqual(json.loads(self.call("list", "--json", "--newer-than", "0s")), [])
        discarded = json.loads(self.call("discard", "--json", "--older-than", "0s"))["discarded"]
        self.assertEqual(discarded, [letter.pk])


class AdminTests(LetterCase):
    url = reverse("admin:core_deadletter_changelist")

    def act(self, action: str, letter: DeadLetter, **more: str) -> str:
        data = {"action": action, "_selected_action": [letter.pk], **more}
        with self.committed():
            response = self.client.post(self.url, data, follow=True)
        return response.content.decode()

    def log_in(self, *permissions: str) -> None:
        staff = User.objects.create_user("staff", "staff@example.org", is_staff=True)
        staff.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        self.client.force_login(staff)

    def test_it_lists_filters_and_shows(self) -> None:
        letter = self.bury()
        self.log_in("view_deadletter", "view_taskrecord")

        self.assertContains(self.client.get(self.url + "?reason=permanent+error"), letter.pk)
        page = self.client.get(reverse("admin:core_deadletter_change", args=[letter.pk]))
        self.assertContains(page, "<pre>Traceback (most recent call last):\n  File ")
        self.assertNotContains(self.client.get(reverse("admin:core_taskrecord_changelist")), "login_url")

    def test_it_requeues(self) -> None:
        letter = self.bury()
        self.log_in("view_deadletter", "change_deadletter")

        self.assertIn("1 dead letters requeued.", self.act("requeue_selected", letter))
        self.work()
        self.assertEqual(len(mail.outbox), 1)

    def test_it_says_what_cannot_be_requeued(self) -> None:
        letter = self.bury(masked=True)
        self.log_in("view_deadletter", "change_deadletter")

        self.assertIn("cannot be requeued", self.act("requeue_selected", letter))

    def test_it_asks_before_it_discards(self) -> None:
        letter = self.bury()
        self.log_in("view_deadletter", "delete_deadletter")

        page = self.act("discard_selected", letter)
        self.assertInHTML('<input type="submit" name="confirmed" value="Discard 1 dead letter">', page)
        self.assertInHTML(f'<input type="hidden" name="_selected_action" value="{letter.pk}">', page)
        self.assertTrue(DeadLetter.objects.exists())

    def test_it_discards_what_was_shown(self) -> None:
        letter = self.bury()
        self.log_in("view_deadletter", "delete_deadletter")

        page = self.act("discard_selected", letter, confirmed="Discard 1 dead letter")
        self.assertIn("1 dead letters discarded.", page)
        self.assertFalse(DeadLetter.objects.exists())

    def test_of_very_many_it_discards_some_at_once(self) -> None:
        letter = self.bury()
        values = model_to_dict(letter)
        DeadLetter.objects.bulk_create(DeadLetter(**values | {"task_id": str(number)}) for number in range(501))
        self.log_in("view_deadletter", "delete_deadletter")

        page = self.act("discard_selected", letter, select_across="1")
        self.assertIn("Discard 500 dead letters", page)
        self.assertIn("The other 2 that were selected stay.", page)

    def test_a_stranger_may_do_neither(self) -> None:
        letter = self.bury()
        self.log_in("view_deadletter")

        self.act("requeue_selected", letter)
        self.act("discard_selected", letter, confirmed="yes")
        self.assertTrue(DeadLetter.objects.exists())
