"""A request as a curl command to paste."""

from __future__ import annotations

import shlex
from collections.abc import Iterable


def curl_of(method: str, url: str, headers: Iterable[tuple[str, str]], body: str) -> str:
    """Return the request as a curl command; secrets stay ``${NAME}``, in quotes that the shell respects."""
    words = ["curl", "-X", method, url]
    for name, value in headers:
        words += ["-H", f"{name}: {value}"]
    if body:
        words += ["--data-raw", body]
    return shlex.join(words)
