import logging
from typing import Any

from django import forms
from django.contrib.auth.forms import PasswordResetForm, UserCreationForm

from accounts.models import User
from core.tasks import request_password_reset

log = logging.getLogger(__name__)


class RegisterForm(UserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("username", "email")

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if User.objects.with_email(email).exists():
            raise forms.ValidationError("An account with this e-mail address exists already.", code="unique")
        return email


class CustomPasswordResetForm(PasswordResetForm):
    """Queues one identical task for every address and sends no mail: nothing tells who has an account."""

    def save(self, *args: Any, **kwargs: Any) -> None:
        try:
            request_password_reset.delay(email=self.cleaned_data["email"])
        except Exception:
            log.exception("A password reset request could not be queued")
