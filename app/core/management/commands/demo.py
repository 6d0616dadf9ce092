from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.urls import reverse

from accounts.models import User

NAME = "demo"
PASSWORD = "demo"  # noqa: S105
ADDRESS = "demo@example.org"


class Command(BaseCommand):
    help = "Prepare the database for development: the schema, and an account whose password everybody knows."
    # The schema may not be there yet.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        # Never in a database that others use, which an .env may name.
        if not settings.DEBUG or not settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
            raise CommandError("A demo account is for development: DEBUG must be on, and the database SQLite.")
        refuse_what_is_no_database()
        call_command("migrate", verbosity=0)
        seed()
        self.stdout.write(f"  Log in     {settings.SITE_URL}{reverse('login')}  (user {NAME}, password {PASSWORD})")
        self.stdout.write(f"  Admin      {settings.SITE_URL}{reverse('admin:index')}")
        if settings.INBOX:
            self.stdout.write(f"  Inbox      {settings.SITE_URL}{reverse('mail_preview:index')}")


def refuse_what_is_no_database() -> None:
    try:
        connection.introspection.table_names()
    except DatabaseError as error:
        file = settings.DATABASES["default"]["NAME"]
        raise CommandError(f"{file} cannot be read ({error}). Delete it, and it is made anew.") from None


def seed() -> None:
    user = User.objects.filter(username=NAME).first()
    if user is None:
        User.objects.create_superuser(NAME, ADDRESS, PASSWORD)
    elif not user.check_password(PASSWORD):
        user.set_password(PASSWORD)
        user.save()
