"""A shop's page on an origin of its own, with the SDKs that it loads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.collect.sdks.parts import PROGRAMS

PERSON = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
NO_ROBOT = "Object.defineProperty(navigator, 'webdriver', {get: () => false});"
"""posthog-js drops what robots do, and a browser without a window says in two ways that it is one."""


@contextmanager
def site(modules: Path, page: Path = PROGRAMS / "page.html") -> Iterator[str]:
    """Serve a page and node_modules/ on a port of this machine; give the origin."""

    class Files(SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            asked = path.partition("?")[0]
            if asked.startswith("/node_modules/"):
                return str(modules / asked.removeprefix("/node_modules/"))
            return str(page)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
