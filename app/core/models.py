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


REQUEST = "The request that it stems from, as in the logs"


class TaskRecord(models.Model):
    """A call of a durable task, from the caller's transaction until the task has finished.

    `payload` is the call in JSON as Kombu writes it; of a done record nothing of it is left.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "waiting to be published"
        PUBLISHED = "published", "published"
        RUNNING = "running", "running"
        FAILED = "failed", "failed, its dead letter on the way"
        DONE = "done", "done"
        DEAD = "dead", "dead letter"

    id = models.UUIDField(primary_key=True, help_text="The Celery task's id")
    task = models.CharField(max_length=255)
    queue = models.CharField(max_length=255)
    payload = models.TextField(blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.PUBLISHED)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="When a sweeper takes the record up, unless a worker puts it off")
    sent_at = models.DateTimeField(null=True, help_text="Since when its message is in its queue, or was")
    started_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0, help_text="Also tells one run's claim from another's")
    retries = models.PositiveIntegerField(default=0)
    losses = models.PositiveIntegerField(default=0, help_text="Runs that ended with their worker")
    publishes = models.PositiveIntegerField(default=0, help_text="Times its message was lost since it last ran")
    worker = models.CharField(max_length=255, blank=True)
    request_id = models.CharField(max_length=36, blank=True, db_default="", help_text=REQUEST)
    failure = models.JSONField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(closed_at=None), name="task_record_due"),
            models.Index(fields=["closed_at"], condition=models.Q(state="done"), name="task_record_done"),
        ]

    def __str__(self) -> str:
        return f"{self.task}[{self.pk}] {self.state}"

    @property
    def identifiers(self) -> dict[str, str]:
        """For `extra` of a log record about this one."""
        return {"request_id": self.request_id, "task_id": str(self.pk), "task_name": self.task}


class DeadLetter(models.Model):
    """What finally failed, secrets masked, until somebody requeues or discards it."""

    task_id = models.CharField(max_length=255, primary_key=True)
    task = models.CharField(max_length=255, db_index=True)
    queue = models.CharField(max_length=255, blank=True)
    args = models.JSONField(default=list)
    kwargs = models.JSONField(default=dict)
    masked = models.BooleanField(default=False, help_text="If so, secrets were not kept, and it cannot be requeued")
    reason = models.CharField(max_length=50)
    exception = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    attempts = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=255, blank=True)
    request_id = models.CharField(max_length=36, blank=True, db_default="", help_text=REQUEST)
    recorded_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-failed_at"]

    def __str__(self) -> str:
        return f"{self.task}[{self.task_id}]"


class MigrationNote(models.Model):
    """What a migration said of itself as it was applied, for releases that lack its file."""

    migration = models.CharField(max_length=255, primary_key=True, help_text="Like core.0001_initial")
    safe_after = models.CharField(max_length=255, blank=True, help_text="Code with this migration can live with it")
    harm = models.TextField(blank=True, help_text="Else what code that lacks it would trip over")

    def __str__(self) -> str:
        return self.migration
