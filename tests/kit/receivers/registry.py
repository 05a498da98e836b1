"""A Schema Registry that does as it is told: what the real one cannot be made to answer."""

from __future__ import annotations

import io
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import fastavro

Answer = tuple[int, bytes]
"""Status and body."""


class Registry:
    """Speaks Confluent's API below ``/api``; ``script`` answers in its place where it is set."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.schemas: dict[str, dict[str, Any]] = {}
        """By the path of the API."""
        self.script: Callable[[str], Answer | None] = lambda path: None
        self.asked: list[str] = []
        self.authorization: list[str | None] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append(self.path)
                registry.authorization.append(self.headers.get("Authorization"))
                status, body = registry.answer(self.path)
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", f"{registry.url}/schemas/ids/1?elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Be quiet."""

        self._handler = Handler
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}/api"

    def start(self) -> None:
        """Answer again, at the same port."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler)
        self._server.daemon_threads = True
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, path: str) -> Answer:
        told = self.script(path)
        if told is not None:
            return told
        path = path.removeprefix("/api")
        if path == "/schemas/types":
            return 200, b'["JSON","PROTOBUF","AVRO"]'
        if path in self.schemas:
            return 200, json.dumps(self.schemas[path]).encode()
        return 404, b'{"error_code":40403,"message":"Schema not found"}'

    def add(self, id: int | str, schema: object, **more: Any) -> int | str:
        """Give a schema an id (or a GUID); more: what the answer says besides (references)."""
        kind = "ids" if isinstance(id, int) else "guids"
        self.schemas[f"/schemas/{kind}/{id}"] = {"schema": json.dumps(schema), **more}
        return id


@contextmanager
def a_registry(tls: ssl.SSLContext | None = None) -> Iterator[Registry]:
    registry = Registry(tls)
    try:
        yield registry
    finally:
        registry.stop()


def avro(schema: object, value: object) -> bytes:
    """Return a value as fastavro writes it."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(json.loads(json.dumps(schema))), value)
    return stream.getvalue()


def framed(id: int, payload: bytes) -> bytes:
    return b"\0" + id.to_bytes(4, "big") + payload
