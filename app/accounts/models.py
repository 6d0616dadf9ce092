from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db import models
from django.db.models.functions import Lower

from accounts.fields import AddressField, one_spelling


class UsernameValidator(UnicodeUsernameValidator):
    # Without “@”, no username can be somebody's address: either may be given to log in.
    regex = r"^[\w.+-]+\Z"
    message = "Enter a valid username: letters, digits and . + - _ only."


class AccountManager(UserManager["User"]):
    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        return one_spelling(email or "")

    def create_superuser(
        self, username: str, email: str | None = None, password: str | None = None, **fields: Any
    ) -> "User":
        # For manage.py createsuperuser, which looks for the very letters of the name alone and has a sentence for this.
        name = self.model.normalize_username(username)
        self.model(username=name, email=self.normalize_email(email)).validate_constraints()
        return super().create_superuser(username, email, password, **fields)

    def with_email(self, email: str) -> models.QuerySet["User"]:
        return self.alias(lowered=Lower("email")).filter(lowered=Lower(models.Value(one_spelling(email))))

    def with_username(self, username: str) -> models.QuerySet["User"]:
        return self.alias(lowered=Lower("username")).filter(lowered=Lower(models.Value(username)))


class User(AbstractUser):
    username = models.CharField(
        max_length=150,
        validators=[UsernameValidator()],
        error_messages={"unique": "This username is taken."},
        unique=True,
    )
    email = AddressField("e-mail address")

    objects: ClassVar[AccountManager] = AccountManager()

    class Meta(AbstractUser.Meta):
        constraints = [
            models.UniqueConstraint(
                Lower("username"),
                name="username_unique_without_case",
                violation_error_message="This username is taken.",
            ),
            models.UniqueConstraint(
                Lower("email"),
                condition=~models.Q(email=""),
                name="email_unique_without_case",
                violation_error_message="An account with this e-mail address exists already.",
            ),
        ]
