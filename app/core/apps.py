from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"

    def ready(self) -> None:
        from core import checks  # noqa: F401, PLC0415
        from core.durable import failures  # noqa: F401, PLC0415
        from core.schema import checks as schema_checks  # noqa: F401, PLC0415
