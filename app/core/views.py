from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views import csrf
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@never_cache
@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "home.html")


def admin_login(request: HttpRequest) -> HttpResponse:
    """Send the admin's visitors to the site's login, which is rate-limited."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))
    if not request.user.is_staff:
        raise PermissionDenied
    return redirect("admin:index")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Lead on who sends the login twice: the first has made the token of the second worthless."""
    if request.user.is_authenticated and request.path == reverse("login"):
        return redirect(request.get_full_path())
    return csrf.csrf_failure(request, reason)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's own looks for a CSRF token in the body, and fails once more on one that cannot be read."""
    return HttpResponseBadRequest(render_to_string("400.html"))
