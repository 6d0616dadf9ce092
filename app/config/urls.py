from django.contrib import admin
from django.urls import include, path

from core.health import health
from core.views import admin_login

urlpatterns = [
    path("admin/login/", admin_login),
    path("admin/", admin.site.urls),
    path("accounts/", include("accounts.urls")),
    path("health/", health, name="health"),
    path("", include("core.urls")),
]
handler400 = "core.views.bad_request"
