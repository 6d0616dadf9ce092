import time

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from .models import Call
from .tasks import work

SECONDS = 10


@require_safe
def slow(request: HttpRequest) -> HttpResponse:
    time.sleep(SECONDS)
    return HttpResponse("At last.", content_type="text/plain")


@csrf_exempt
@require_POST
@transaction.atomic
def keep_running(request: HttpRequest, at_a_time: int) -> HttpResponse:
    """Ask for as many tasks as are lacking."""
    lacking = at_a_time - Call.objects.exclude(runs__ended_at__isnull=False).count()
    for _ in range(lacking):
        work.delay(Call.objects.create().pk)
    return HttpResponse(str(max(0, lacking)), content_type="text/plain")
