from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path


@login_required
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "home.html")


def login(request: HttpRequest) -> HttpResponse:
    return render(request, "registration/login.html", {"form": AuthenticationForm(request)})


urlpatterns = [
    path("", home, name="home"),
    path("accounts/login/", login, name="login"),
    # The templates link to these.
    *(
        path(f"accounts/{name}/", login, name=name)
        for name in ("logout", "register", "password_change", "password_reset")
    ),
]
