"""The site together with its static files, which nginx serves in production."""

import mimetypes
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings

from config.wsgi import application as django


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    path = str(environ["PATH_INFO"])
    if not path.startswith(settings.STATIC_URL):
        return django(environ, start_response)
    file = Path(settings.STATIC_ROOT) / path.removeprefix(settings.STATIC_URL)
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    start_response("200 OK", [("Content-Type", kind)])
    return [file.read_bytes()]
