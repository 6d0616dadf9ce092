"""The local lab: Debian machines with systemd in podman, and a mail server with an inbox."""
