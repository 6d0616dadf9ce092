import json
from datetime import timedelta
from io import StringIO
from unittest import mock

from django.contrib.auth.models import Permission
from django.core import mail
from django.core.management import CommandError, call_command
from django.forms.models import model_to_dict
from django.urls import reverse
from django.utils.timezone import now

from accounts.models import User
from core.management.commands.dead_letters import Command
from core.models import DeadLetter
from tests.unit.durable import LetterCase, State

LINK = "https://example.org/accounts/reset/MQ/abc-0123456789/"


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
