"""A collector in a thread, a sink that can wait and refuse, and a client that speaks bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import orjson
import uvloop

from pipeline.collect.batch import Batch, Refused, Why
from pipeline.collect.http.limits import USUAL
from pipeline.collect.service import Service
from pipeline.config.models.installation.collect import CollectSection
from pipeline.language.secrets import Secrets

KEYS = {
    "web": {"key": "wk-page-secret", "origins": ["https://shop.example"]},
    "server": {"key": "sk-server-secret"},
}
EVENT = b'{"type":"event","name":"Purchase","user_id":"u1"}'


class MemorySink:
    """Keeps batches in memory: at once, or when it is told to; or refuses them."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.held = False
        self.refusal: Refused | None = None
        self.trouble: Why | None = None
        self.closed = False
        self._waiting: list[asyncio.Future[int]] = []

    @property
    def values(self) -> list[bytes | None]:
        return [member.value for batch in self.batches for member in batch.members]

    def hand(self, batch: Batch) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.batches.append(batch)
        if self.refusal is not None:
            future.set_exception(self.refusal)
        elif self.held:
            self._waiting.append(future)
        else:
            future.set_result(0)
        return future

    async def close(self) -> None:
        self.closed = True

    def measure(self) -> None:
        """Nothing is on a disk."""

    def release(self) -> None:
        """Keep what waits, and hold nothing any more. In the loop's thread."""
        self.held = False
        for future in self._waiting:
            if not future.done():
                future.set_result(0)
        self._waiting.clear()


class Running:
    """A context manager. wire: other times and sizes than the usual ones of `Limits`."""

    def __init__(
        self, section: dict[str, Any] | None = None, *, base: Path | None = None, **wire: Any
    ) -> None:
        self.section = CollectSection.model_validate(
            {"listen": "127.0.0.1:0", "keys": KEYS, **(section or {})}
        )
        self.sink = MemorySink()
        self.secrets = Secrets({}, base)
        self.port = 0
        self.service: Service
        self._wire = wire
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *exc: object) -> None:
        self.do(self.sink.release)
        self.stop()
        self.join()

    def stop(self) -> None:
        self._stop.set()

    def join(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()

    def do(self, work: Any) -> None:
        """Do something in the loop's thread, and wait for it."""
        done = threading.Event()

        def there() -> None:
            work()
            done.set()

        with contextlib.suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(there)
            done.wait(5)

    def connect(self) -> Client:
        return Client(self.port)

    def listens(self) -> bool:
        try:
            self.connect().socket.close()
        except OSError:
            return False
        return True

    def ask(self, request: bytes) -> Reply:
        with self.connect() as client:
            client.send(request)
            return client.read()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._main())
        except BaseException as error:
            self._failure = error
        self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.service = Service(
            self.section, self.secrets, self.sink, replace(USUAL, **{"drain_secs": 0.3, **self._wire})
        )
        _, self.port = await self.service.start()
        self._ready.set()
        while not self._stop.is_set():
            await asyncio.sleep(0.01)
            self.service.look()
        await self.service.stop()
        await self.sink.close()


class Reply:
    """What came back."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    def __repr__(self) -> str:
        return f"{self.status} {self.headers} {self.body[:200]!r}"


class Client:
    """A socket."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _more(self) -> bool:
        data = self.socket.recv(65536)
        self._buffer += data
        return bool(data)

    def until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            if not self._more():
                raise EOFError(self._buffer)
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def read(self, *, without_body: bool = False) -> Reply:
        lines = self.until(b"\r\n\r\n").decode().split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines[1:])
        }
        length = 0 if without_body else int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            if not self._more():
                raise EOFError(self._buffer)
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Reply(int(lines[0].split()[1]), headers, body)

    def is_closed(self) -> bool:
        """Return whether the server ends it; waits for that."""
        try:
            while self._more():
                pass
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        return True


def post(
    body: bytes = EVENT,
    *headers: str,
    path: str = "/v1/events",
    key: str | None = "sk-server-secret",
    version: str = "1.1",
    length: bool = True,
) -> bytes:
    """Return the bytes of a request."""
    lines = [f"POST {path} HTTP/{version}", "Host: collect.example"]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def wait_for(condition: Any, secs: float = 10.0) -> None:
    """Wait until a condition holds."""
    until = time.monotonic() + secs
    while not condition():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.005)
