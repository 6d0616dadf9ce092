from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"

    def ready(self) -> None:
        # Importing them connects receivers and registers checks, which needs the models to be loaded.
        from core import checks  # noqa: F401, PLC0415
        from core.durable import failures  # noqa: F401, PLC0415
        from core.schema import checks as schema_checks  # noqa: F401, PLC0415
