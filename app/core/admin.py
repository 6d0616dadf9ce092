from collections.abc import Callable, Sequence

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html

from core.durable.operations import RefusedError, discard, requeue
from core.models import DeadLetter, TaskRecord

# Django refuses forms of more than 1,000 fields.
AT_ONCE = 500


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows. What may be done to them is in the actions alone."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    list_display = ("task_id", "task", "reason", "exception_line", "attempts", "failed_at", "worker")
    list_filter = ("task", "reason", "queue", "failed_at")
    search_fields = ("task_id", "request_id", "exception")
    date_hierarchy = "failed_at"
    actions: Sequence[str] = ("requeue_selected", "discard_selected")
    exclude = ("traceback",)
    readonly_fields = ("traceback_lines",)

    @admin.display(description="exception")
    def exception_line(self, letter: DeadLetter) -> str:
        return letter.exception.partition("\n")[0][:120]

    @admin.display(description="traceback")
    def traceback_lines(self, letter: DeadLetter) -> str:
        return format_html("<pre>{}</pre>", letter.traceback)

    def has_requeue_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("core.change_deadletter")

    def has_discard_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("core.delete_deadletter")

    @admin.action(description="Requeue selected dead letters", permissions=["requeue"])
    def requeue_selected(self, request: HttpRequest, letters: "QuerySet[DeadLetter]") -> None:
        self.act(request, letters, requeue, "requeued")

    @admin.action(description="Discard selected dead letters", permissions=["discard"])
    def discard_selected(self, request: HttpRequest, letters: "QuerySet[DeadLetter]") -> HttpResponse | None:
        if "confirmed" not in request.POST:
            return self.ask(request, letters)
        self.act(request, letters, discard, "discarded")
        return None

    def ask(self, request: HttpRequest, letters: "QuerySet[DeadLetter]") -> HttpResponse:
        chosen = list(letters[:AT_ONCE])
        site = self.admin_site.each_context(request)
        context = {
            "title": "Discard dead letters?",
            "opts": self.opts,
            "letters": chosen,
            "others": letters.count() - len(chosen),
        }
        return TemplateResponse(request, "admin/core/deadletter/discard.html", site | context)

    def act(
        self, request: HttpRequest, letters: "QuerySet[DeadLetter]", action: Callable[[DeadLetter], None], done: str
    ) -> None:
        count = 0
        for letter in letters:
            try:
                action(letter)
            except RefusedError as error:
                self.message_user(request, str(error), messages.WARNING)
            else:
                count += 1
        self.message_user(request, f"{count} dead letters {done}.")


@admin.register(TaskRecord)
class TaskRecordAdmin(ReadOnlyAdmin):
    list_display = ("id", "task", "state", "created_at", "due_at", "attempts", "retries", "losses", "worker")
    list_filter = ("state", "task", "queue")
    search_fields = ("request_id",)
    # Not the payload: arguments are for the task alone.
    exclude = ("payload", "failure")
    show_full_result_count = False
