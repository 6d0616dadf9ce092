from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

GetResponse = Callable[[HttpRequest], HttpResponse]


def content_security_policy(get_response: GetResponse) -> GetResponse:
    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
        return response

    return respond


def name_release(get_response: GetResponse) -> GetResponse:
    """So that a deploy, and whoever looks for a fault, sees which release has answered."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers["X-Release"] = settings.RELEASE
        return response

    return respond
