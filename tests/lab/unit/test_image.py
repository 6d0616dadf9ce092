import pytest

from lab import image


def test_another_recipe_is_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    before = image.archive("12"), image.name("12")

    monkeypatch.setattr(image, "PACKAGES", f"{image.PACKAGES},vim")

    assert image.archive("12") != before[0]
    assert image.name("12") != before[1]


def test_each_debian_has_its_own() -> None:
    assert image.archive("12") != image.archive("13")
