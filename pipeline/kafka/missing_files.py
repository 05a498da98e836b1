"""Files that settings of librdkafka name: its own words for one that is not there do not say which."""

from __future__ import annotations

import os
from collections.abc import Mapping

_NAMES = tuple(f"ssl.{what}.location" for what in ("ca", "certificate", "key", "keystore", "crl"))


def missing_file(settings: Mapping[str, object]) -> str | None:
    """Return what is wrong with the first file that cannot be read, None where all can."""
    for name in _NAMES:
        path = settings.get(name)
        if not isinstance(path, str) or (name == "ssl.ca.location" and path == "probe"):
            continue
        if not os.path.exists(path):
            looked = "" if os.path.isabs(path) else f"; looked for it in {os.getcwd()}"
            return f"`{name}`: there is no file `{path}`{looked}"
        if not os.access(path, os.R_OK):
            return f"`{name}`: `{path}` cannot be read by this user"
    return None
