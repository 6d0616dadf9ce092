from django.db import models


class Call(models.Model):
    """A task that was asked for."""

    objects: models.Manager["Call"] = models.Manager()
    asked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "bench"

    def __str__(self) -> str:
        return f"call {self.pk}"


class Run(models.Model):
    """Written when a run of the task begins, and again when it ends: one that was cut off has no end."""

    objects: models.Manager["Run"] = models.Manager()
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="runs")
    worker = models.CharField(max_length=255)
    started_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "bench"

    def __str__(self) -> str:
        return f"run of {self.call}"
