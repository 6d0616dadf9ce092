import logging

from django.contrib.messages.views import SuccessMessageMixin
from django.forms import BaseModelForm
from django.http import HttpResponse
from django.urls import reverse_lazy
from django.views.generic import CreateView

from accounts.forms import RegisterForm
from accounts.models import User
from core.mails import absolute
from core.tasks import send_welcome_email

log = logging.getLogger(__name__)


class RegisterView(SuccessMessageMixin, CreateView):  # type: ignore[type-arg]
    form_class = RegisterForm
    template_name = "registration/register.html"
    success_url = reverse_lazy("login")
    success_message = "Account created successfully! Please log in."

    def form_valid(self, form: "BaseModelForm[User]") -> HttpResponse:
        response = super().form_valid(form)
        user_id = form.instance.pk
        try:
            send_welcome_email.delay(user_id=user_id, login_url=absolute("login"))
        except Exception:
            log.exception("The welcome mail of user %s could not be queued", user_id)
        return response
