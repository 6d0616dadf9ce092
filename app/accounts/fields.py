import re
import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.db import models
from django.utils.deconstruct import deconstructible
from django.utils.encoding import punycode

EMAIL_LENGTH = 254
# Of the part before the “@”, in octets (RFC 5321).
LOCAL_LENGTH = 64
ATOM = r"[-!#$%&'*+/=?^_`{}|~0-9A-Z\u0080-\U0010ffff]+"


def one_spelling(address: str) -> str:
    """The same for all spellings of one mailbox but for its capitals: keyboards differ in how they write “ö”,
    and a domain may come as it reads or as it is sent (`xn--…`)."""
    # Not of what is too long: putting accents in order takes quadratic time.
    if len(address) > EMAIL_LENGTH:
        return address
    local, at, domain = unicodedata.normalize("NFC", address.strip()).rpartition("@")
    try:
        return f"{local}{at}{punycode(domain.lower()).encode().decode('idna')}"
    except UnicodeError:
        return f"{local}{at}{domain.lower()}"


def can_be_sent_to(address: str) -> bool:
    local, _, domain = address.rpartition("@")
    try:
        sent = f"{local}@{punycode(domain)}".encode()
    except UnicodeError:
        return False
    return len(sent) <= EMAIL_LENGTH and len(local.encode()) <= LOCAL_LENGTH


@deconstructible
class AddressValidator(EmailValidator):
    """Django's, with letters of every script before the “@” (RFC 6531), always with a domain, never quoted."""

    domain_allowlist = []
    user_regex = re.compile(rf"^{ATOM}(\.{ATOM})*\Z", re.IGNORECASE)

    def __call__(self, value: str | None) -> None:
        # Line separators, direction marks and the like: no mail server takes them.
        if value is not None and not value.isprintable():
            raise ValidationError(self.message, code=self.code)
        super().__call__(value)
        if value is not None and not can_be_sent_to(value):
            raise ValidationError(self.message, code=self.code)

    def validate_domain_part(self, domain_part: str) -> bool:
        return bool(self.domain_regex.match(domain_part))


class AddressFormField(forms.EmailField):
    default_validators = [AddressValidator()]
    # A browser's `type=email` refuses letters outside ASCII before the “@”.
    widget = forms.TextInput(attrs={"inputmode": "email", "autocomplete": "email", "autocapitalize": "none"})

    def to_python(self, value: Any) -> Any:
        return one_spelling(super().to_python(value) or "")


# Generic in the stubs alone: subscribing it fails at run time.
class AddressField(models.EmailField):  # type: ignore[type-arg]
    default_validators = [AddressValidator()]

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": AddressFormField, **kwargs})
