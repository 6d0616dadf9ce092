from django.db import models


class RateCounter(models.Model):
    """How often something was tried in a window of time. `key` is a digest: no address is stored."""

    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField()
    ends_at = models.PositiveBigIntegerField(help_text="Seconds since 1970")

    class Meta:
        indexes = [models.Index(fields=["ends_at"], name="rate_counter_ends_at")]

    def __str__(self) -> str:
        return f"{self.count} until {self.ends_at}"
