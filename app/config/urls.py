from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from core.health import health
from core.views import admin_login

urlpatterns = [
    path("admin/login/", admin_login),
    path("admin/", admin.site.urls),
    path("accounts/", include("accounts.urls")),
    # Exempt, so that other methods are told that they are not allowed and not that a token is missing.
    path("health/", csrf_exempt(require_safe(health)), name="health"),
    path("", include("core.urls")),
]
if settings.INBOX:
    urlpatterns.append(path("inbox/", include("django_mail_preview.urls")))
handler400 = "core.views.bad_request"
