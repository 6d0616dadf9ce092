from django.apps import AppConfig


class Accounts(AppConfig):
    """The models alone: what the service's own does besides wants the service's other applications."""

    name = "accounts"
