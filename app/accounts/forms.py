import logging
from typing import Any

from django import forms
from django.contrib.auth.forms import (
    AuthenticationForm,
    PasswordChangeForm,
    PasswordResetForm,
    SetPasswordForm,
    UserCreationForm,
    UsernameField,
)
from django.core.validators import MaxLengthValidator
from django.db import Error as DatabaseFailure

from accounts.fields import EMAIL_LENGTH, AddressFormField
from accounts.models import User
from core.tasks import request_password_reset

log = logging.getLogger(__name__)
PASSWORD_LENGTH = 4096


class PasswordLengthMixin(forms.BaseForm):
    """Refuses passwords so long that hashing and comparing them is work."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field.widget, forms.PasswordInput):
                # Not the attribute `maxlength`: browsers cut off what is longer, and say nothing.
                field.validators.append(MaxLengthValidator(PASSWORD_LENGTH))


# Generic in the stubs alone: subscribing it fails at run time.
class RegisterForm(PasswordLengthMixin, UserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("username", "email")

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if User.objects.with_email(email).exists():
            raise forms.ValidationError("An account with this e-mail address exists already.", code="unique")
        return email


class LoginField(UsernameField):
    def to_python(self, value: Any) -> Any:
        # Of an address, the letters are those of a mailbox: others that look like them may be another's.
        typed = forms.CharField.to_python(self, value) or ""
        return typed if "@" in typed else super().to_python(value)


class LoginForm(PasswordLengthMixin, AuthenticationForm):
    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "Name and password do not match. Capital letters matter in the password.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"] = LoginField(
            label="Username or e-mail address",
            max_length=EMAIL_LENGTH,
            widget=forms.TextInput(attrs={"autofocus": True}),
        )


# Generic in the stubs alone: subscribing it fails at run time.
class NewPasswordForm(PasswordLengthMixin, SetPasswordForm):  # type: ignore[type-arg]
    pass


class ChangePasswordForm(PasswordLengthMixin, PasswordChangeForm):
    pass


class CustomPasswordResetForm(PasswordResetForm):
    """Queues one identical task for every address and sends no mail: nothing tells who has an account."""

    email = AddressFormField(label="E-mail address", max_length=EMAIL_LENGTH)

    def save(self, *args: Any, **kwargs: Any) -> None:
        try:
            request_password_reset.delay(email=self.cleaned_data["email"])
        except DatabaseFailure:
            # Nothing is recorded and no mail will come, whatever the address: the page must not say otherwise.
            raise
        except Exception:
            log.exception("A password reset request could not be queued")
