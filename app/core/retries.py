import random
import smtplib

from django.conf import settings

LONGEST_DELAY = 600
JITTER = 0.1
FIRST_PERMANENT = 500


def delay_before_retry(retries: int) -> float:
    """Seconds to wait: doubling from retry to retry, capped, each ± 10 % (Celery's own jitter is 0–100 %)."""
    delay = min(settings.CELERY_TASK_DEFAULT_RETRY_DELAY * 2**retries, LONGEST_DELAY)
    return float(delay * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311


def is_transient(error: Exception) -> bool:
    """Whether trying again can help: an SMTP answer of 4xx or a network error, not 5xx and not a bug."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code < FIRST_PERMANENT for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code < FIRST_PERMANENT
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return False
    return isinstance(error, OSError)
