"""Prints the cookie of somebody who is signed in. Both sites take it: they share secret and table."""

import json

import django

django.setup()

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402

from accounts.models import User  # noqa: E402
from core.sessions import SessionStore  # noqa: E402

user = User.objects.earliest("pk")
user.set_password("correct horse 7")
user.last_login = user.date_joined
user.save()
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "accounts.backends.UsernameOrEmailBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.save()
print(json.dumps({"sessionid": session.session_key}))
