from lab import host


def test_it_tells_what_is_missing() -> None:
    assert host.missing(("dpkg", "no-such-package", "coreutils")) == ["no-such-package"]
