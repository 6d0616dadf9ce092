"""The mails this service sends. Each sender returns what its task returns."""

import logging

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from accounts.models import User
from core.email import send_templated_email
from core.identifiers import account

log = logging.getLogger(__name__)


def send_welcome(user_id: int, login_url: str) -> str:
    user = with_key(user_id)
    if user is None:
        return missing(user_id)
    context = {"user": user, "login_url": login_url}
    send_templated_email("Welcome to Django SaaS", "emails/welcome_email", context, user.email)
    return f"Welcome email sent to {user.email}"


def send_password_reset(user_id: int, reset_link: str) -> str:
    user = with_key(user_id)
    if user is None:
        return missing(user_id)
    account.set(str(user_id))
    context = {"user": user, "reset_link": reset_link}
    # To the stored address and not the one asked for, which only looks the same when letters are exotic.
    send_templated_email("Password Reset Request", "emails/password_reset_email", context, user.email)
    return f"Password reset email sent to {user.email}"


def with_key(user_id: int) -> User | None:
    # Half of what the same takes that Django has to write first.
    return next(iter(User.objects.raw("SELECT * FROM accounts_user WHERE id = %s", [user_id])), None)


def missing(user_id: int) -> str:
    log.warning("User %s not found", user_id)
    return f"User {user_id} not found"


def answer_reset_request(email: str) -> None:
    user = User.objects.with_email(email).filter(is_active=True).first()
    if user is not None and user.has_usable_password():
        send_password_reset(user.pk, reset_link(user))


def reset_link(user: User) -> str:
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    token = default_token_generator.make_token(user)
    return absolute("password_reset_confirm", uidb64=uid, token=token)


def absolute(url_name: str, **kwargs: str) -> str:
    """The address of a page on SITE_URL: a request's Host header is not to be trusted with links in mails."""
    return settings.SITE_URL + reverse(url_name, kwargs=kwargs)
