from django.contrib.sessions.models import Session
from django.utils.timezone import now


def delete_expired() -> int:
    deleted, _ = Session.objects.filter(expire_date__lt=now()).delete()
    return deleted
