from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from accounts.models import User


# Generic in the stubs alone: subscribing it fails at run time.
@admin.register(User)
class AccountAdmin(UserAdmin):  # type: ignore[type-arg]
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "email", "usable_password", "password1", "password2")}),
    )
