"""Attacks over the wire cost the connection they come on, no memory, and nothing of the others."""

from __future__ import annotations

import gzip
import socket
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard

from tests.collect.promises.test_acknowledged import event
from tests.collect.promises.test_overload import memory
from tests.kit.collector import Collector
from tests.kit.programs.run import until

UNPACKED = 128 << 20


def zeros(compress: zlib._Compress | zstandard.ZstdCompressionObj) -> bytes:
    """Return 128 MiB of spaces, packed: six times what a body may have."""
    step = b" " * (1 << 20)
    return b"".join(compress.compress(step) for _ in range(UNPACKED >> 20)) + compress.flush()


def test_a_bomb_is_refused_without_the_memory_that_it_asks_for(tmp_path: Path):
    bombs = {
        "gzip": zeros(zlib.compressobj(1, wbits=31)),
        "deflate": zeros(zlib.compressobj(1)),
        "zstd": zeros(zstandard.ZstdCompressor().compressobj()),
    }
    nested = gzip.compress(bombs["gzip"])
    with Collector(tmp_path) as collector:
        assert collector.process is not None
        before = memory(collector.process.pid)
        asked = [(packed, coding) for coding, packed in bombs.items()]
        asked += [(bombs["gzip"], ""), (nested, "gzip"), (nested, "gzip, gzip")]
        with ThreadPoolExecutor(4) as pool:

            def send(one: tuple[bytes, str]) -> int:
                packed, coding = one
                headers = {"authorization": "Bearer wk_server", "content-encoding": coding or "identity"}
                return collector.ask("POST", "/v1/events", packed, headers)[0]

            statuses = list(pool.map(send, asked))
        # What is packed twice may be no JSON after the first unpacking: either answer costs no memory.
        assert statuses[:4] == [413] * 4
        assert set(statuses[4:]) <= {400, 413, 415}
        assert memory(collector.process.pid) - before < 100 << 20
        assert collector.post("/v1/events", event(1))[0] == 200


SMUGGLED = {
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n",
    "a length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "a coding that is none": b"Transfer-Encoding: xchunked\r\n",
    "a negative length": b"Content-Length: -5\r\n",
    "a length that is no number": b"Content-Length: +5\r\n",
    "a zero byte": b"X-A: a\0b\r\n",
    "a name with a space": b"Content-Length : 5\r\n",
}


def test_a_request_that_two_servers_would_cut_differently_is_refused_and_nothing_behind_it_is_read(
    tmp_path: Path,
):
    with Collector(tmp_path) as collector:
        for name, lines in SMUGGLED.items():
            with socket.create_connection(("127.0.0.1", collector.port), timeout=10) as connection:
                head = b"POST /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer wk_server\r\n"
                inner = b'{"type":"event","name":"Smuggled","user_id":"u"}'
                second = head + b"Content-Length: %d\r\n\r\n%s" % (len(inner), inner)
                connection.sendall(head + lines + b"\r\n0\r\n\r\n" + second)
                said = b""
                while more := connection.recv(4096):
                    said += more
            assert said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501")), (name, said[:80])
            assert said.count(b"HTTP/1.1 ") == 1, (name, said)
        assert collector.lines() == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_thousands_of_connections_that_say_one_byte_at_a_time_do_not_slow_the_others(tmp_path: Path):
    with Collector(tmp_path) as collector:

        def slowest() -> float:
            took = []
            for n in range(300):
                began = time.perf_counter()
                assert collector.post("/v1/events", event(n))[0] == 200
                took.append(time.perf_counter() - began)
            return sorted(took)[296]

        alone = slowest()
        held = [socket.create_connection(("127.0.0.1", collector.port), timeout=30) for _ in range(5_000)]
        try:
            for connection in held:
                connection.sendall(b"POST /v1/events HTTP/1.1\r\nX-Slow: ")
            assert slowest() < 5 * alone + 0.02
            # The head is waited for ten seconds, however the bytes trickle.
            trickling, idle = held[:50], held[50:]

            def closed() -> bool:
                for connection in trickling:
                    try:
                        connection.send(b"a")
                    except OSError:
                        return True
                return False

            until(closed, secs=20)
            for connection in idle[:200]:
                connection.settimeout(20)
                while connection.recv(4096):
                    pass
        finally:
            for connection in held:
                connection.close()
        assert collector.post("/v1/events", event(1_000))[0] == 200
