from collections.abc import Mapping, Sequence
from email.utils import make_msgid, parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string


def send_templated_email(subject: str, template_base: str, context: Mapping[str, Any], to: str | Sequence[str]) -> None:
    """Send `<template_base>.txt` and `<template_base>.html` as the two parts of one mail.

    Raises what the mail server or the templates raise.
    """
    message = EmailMultiAlternatives(
        subject=subject,
        body=render_to_string(f"{template_base}.txt", dict(context)),
        to=[to] if isinstance(to, str) else list(to),
        headers={"Message-ID": make_msgid(domain=sender_domain()), "Auto-Submitted": "auto-generated"},
    )
    message.attach_alternative(render_to_string(f"{template_base}.html", dict(context)), "text/html")
    message.send()


def sender_domain() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
