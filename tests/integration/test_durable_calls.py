"""A durable call within a transaction, on PostgreSQL, where a failed statement spoils the transaction around it."""

import json

from tests.integration.conftest import Environment, manage

SCRIPT = """
import json, uuid
from django.db import DatabaseError, transaction
from django.db.models import F
from accounts.models import User
from core.models import TaskRecord
from core.tasks import send_welcome_email
URL = "https://example.org/"
found, twice = [], str(uuid.uuid4())
with transaction.atomic():
    user = User.objects.create(username=twice, email=twice + "@example.org")
    send_welcome_email.apply_async((user.pk, URL), task_id=twice, countdown=3600)
    for wrong in ({"task_id": twice}, {"queue": "email\\0"}):
        try:
            send_welcome_email.apply_async((user.pk, URL), **wrong)
        except (DatabaseError, ValueError) as error:
            found.append(type(error).__name__)
waits = TaskRecord.objects.filter(pk=twice).values_list(F("due_at") - F("created_at"), "state").get()
print(json.dumps([found, User.objects.filter(username=twice).count(), waits[0].total_seconds(), waits[1]]))
TaskRecord.objects.filter(pk=twice).delete()
"""


def test_one_that_fails_leaves_the_transaction_as_it_was(environment: Environment) -> None:
    told = manage(environment, "shell", "-v0", "-c", SCRIPT).splitlines()[-1]

    assert json.loads(told) == [["IntegrityError", "DataError"], 1, 3600, "waiting"]
