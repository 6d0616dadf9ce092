import logging
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth import views
from django.contrib.messages.views import SuccessMessageMixin
from django.db import IntegrityError, transaction
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse, reverse_lazy
from django.views.generic import CreateView
from django.views.generic.base import View

from accounts.forms import ChangePasswordForm, CustomPasswordResetForm, LoginForm, RegisterForm
from accounts.models import User
from core.limits import seconds_to_wait
from core.mails import absolute
from core.tasks import send_welcome_email

log = logging.getLogger(__name__)


class RateLimitMixin(View):
    """Answers 429 to a POST when `rate_limit` is reached for the address or the account, in `account_field`."""

    # Django's forms take PUT for a POST.
    http_method_names = ["get", "head", "post", "options"]
    rate_limit: str
    account_field: str

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST":
            seconds = seconds_to_wait(self.rate_limit, request, self.account(request))
            if seconds:
                return too_many_attempts(request, seconds)
        return super().dispatch(request, *args, **kwargs)

    def account(self, request: HttpRequest) -> str:
        return request.POST.get(self.account_field, "")


def too_many_attempts(request: HttpRequest, seconds: int) -> HttpResponse:
    response = render(request, "429.html", {"minutes": -(-seconds // 60)}, status=429)
    response.headers["Retry-After"] = str(seconds)
    return response


# Generic in the stubs alone: subscribing it fails at run time.
class RegisterView(RateLimitMixin, SuccessMessageMixin, CreateView):  # type: ignore[type-arg]
    form_class = RegisterForm
    template_name = "registration/register.html"
    success_url = reverse_lazy("login")
    success_message = "Account created successfully! Please log in."
    rate_limit = "register"
    account_field = "email"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return redirect("home")
        return super().get(request, *args, **kwargs)

    def form_valid(self, form: "ModelForm[Any]") -> HttpResponse:
        try:
            # Together: no account without its mail, whatever ends in between.
            with transaction.atomic():
                response = super().form_valid(form)
                log.info("User %s registers", form.instance.pk, extra={"user_id": form.instance.pk})
                self.send_welcome(form.instance)
        except IntegrityError:
            # Somebody else was quicker, after the form had looked. Now it finds which field it was.
            form.full_clean()
            if not form.errors:
                form.add_error(None, "This username or e-mail address was taken a moment ago. Please choose another.")
            return self.form_invalid(form)
        return response

    def send_welcome(self, user: User) -> None:
        try:
            with transaction.atomic():
                send_welcome_email.delay(user_id=user.pk, login_url=absolute("login"))
        except Exception:
            log.exception("The welcome mail of user %s could not be queued", user.pk)


class LoginView(RateLimitMixin, views.LoginView):
    authentication_form = LoginForm
    redirect_authenticated_user = True
    rate_limit = "login"
    account_field = "username"

    # The stubs name another signature than Django has.
    def get_redirect_url(self) -> str:  # type: ignore[override]
        url = super().get_redirect_url()
        return "" if url and leads_nowhere(url) else url


def leads_nowhere(url: str) -> bool:
    """The one would be asked for by GET, which it refuses; the other lead here for ever."""
    return f"{urlsplit(url).path.rstrip('/')}/" in (reverse("logout"), reverse("login"))


class LogoutView(views.LogoutView):
    """By POST alone, so that no link of another site logs anybody out. Who types the address is shown the button."""

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().http_method_not_allowed(request, *args, **kwargs)
        response.content = render_to_string("registration/log_out.html", request=request)
        return response


class PasswordResetView(RateLimitMixin, views.PasswordResetView):
    form_class = CustomPasswordResetForm
    rate_limit = "reset"
    account_field = "email"


class PasswordChangeView(RateLimitMixin, views.PasswordChangeView):
    form_class = ChangePasswordForm
    # Who guesses the old password here might as well guess it there.
    rate_limit = "login"

    def account(self, request: HttpRequest) -> str:
        return request.user.get_username()
