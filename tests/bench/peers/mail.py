"""The work that all peers do: what `core.tasks.send_welcome_email` does, as Django's documentation has it."""

from django.core.mail import send_mail
from django.template.loader import render_to_string

from accounts.models import User


def send_welcome(user_id: int, login_url: str) -> None:
    user = User.objects.get(pk=user_id)
    context = {"user": user, "login_url": login_url}
    text = render_to_string("emails/welcome_email.txt", context)
    html = render_to_string("emails/welcome_email.html", context)
    send_mail("Welcome to Django SaaS", text, None, [user.email], html_message=html)
