from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        # Importing it connects the receivers, which needs the models to be loaded.
        from accounts import signals  # noqa: F401, PLC0415
