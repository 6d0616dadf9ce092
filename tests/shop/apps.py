from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Nothing but migrations, some of which an earlier release could not live with."""

    name = "tests.shop"
