"""Bodies are unpacked to no more than their limit, whatever they are packed with and how often."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from functools import cache

import pytest
import zstandard

from pipeline.collect.http.unpack import UnpackError, tried, unpack
from tests.collect.rig import Running, post

BODY = b'{"type":"event","name":"Purchase"}' * 40
LIMIT = 1 << 20
SIZE = 24 << 20


def bare(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def zstd_unsized(body: bytes) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(body) + packer.flush()


ZSTD = zstandard.ZstdCompressor().compress


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(BODY)),
        ("GZIP ", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        (None, gzip.compress(BODY)),
        ("identity", gzip.compress(BODY)),
        ("gzip", gzip.compress(BODY[:100]) + gzip.compress(BODY[100:])),
        ("gzip", gzip.compress(BODY) + b"what follows"),
        ("deflate", zlib.compress(BODY)),
        ("deflate", bare(BODY)),
        ("zstd", ZSTD(BODY)),
        ("zstd", zstd_unsized(BODY)),
        ("zstd", ZSTD(BODY[:100]) + ZSTD(BODY[100:])),
        ("gzip, zstd", ZSTD(gzip.compress(BODY))),
        ("gzip", gzip.compress(gzip.compress(BODY))),
        ("gzip", BODY),
        ("deflate", BODY),
        ("identity", BODY),
        (None, BODY),
    ],
)
def test_a_body_comes_out_as_it_was(encoding, packed):
    assert unpack(encoding, packed, LIMIT) == BODY


@pytest.mark.parametrize(
    ("encoding", "packed", "status"),
    [
        ("gzip", gzip.compress(BODY)[:-12], 400),
        ("gzip", gzip.compress(BODY)[:-1], 400),
        ("gzip", b"\x1f\x8b" + bytes(20), 400),
        ("deflate", zlib.compress(BODY)[:-5], 400),
        ("deflate", b"\xff" * 20, 400),
        ("zstd", b"nothing", 400),
        ("zstd", ZSTD(BODY)[:-3], 400),
        ("zstd", zstd_unsized(BODY)[:-3], 400),
        ("br", BODY, 415),
        ("gzip, gzip, gzip, gzip", BODY, 400),
    ],
)
def test_what_cannot_be_unpacked_is_refused(encoding, packed, status):
    with pytest.raises(UnpackError) as refused:
        unpack(encoding, packed, LIMIT)
    assert refused.value.status == status


@cache
def bombs() -> dict[str, tuple[str, bytes]]:
    gzipped = gzip.compress(bytes(SIZE))
    return {
        "gzip": ("gzip", gzipped),
        "deflate": ("deflate", zlib.compress(bytes(SIZE), 9)),
        "bare deflate": ("deflate", bare(bytes(SIZE))),
        "zstd": ("zstd", ZSTD(bytes(SIZE))),
        "zstd without a size": ("zstd", zstd_unsized(bytes(SIZE))),
        "gzip in gzip": ("gzip", gzip.compress(gzipped)),
        "gzip in gzip that is named twice": ("gzip, gzip", gzip.compress(gzipped)),
        "many gzip members": ("gzip", gzip.compress(bytes(60_000)) * 400),
    }


@pytest.mark.parametrize(
    "what",
    ["gzip", "deflate", "bare deflate", "zstd", "zstd without a size", "gzip in gzip", "many gzip members"],
)
def test_a_bomb_costs_no_more_than_its_limit(what):
    encoding, packed = bombs()[what]
    tracemalloc.start()
    try:
        refused = tried(encoding, packed, LIMIT)
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(refused, UnpackError)
    assert refused.status == 413
    assert peak < 4 * LIMIT
    assert left < LIMIT // 4, "the error holds nothing of it"


def test_a_window_that_asks_for_memory_is_refused():
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(UnpackError) as refused:
        unpack("zstd", packer.compress(BODY) + packer.flush(), LIMIT)
    assert refused.value.status == 400


def test_a_bomb_is_answered_with_413_and_its_connection_goes_on():
    with Running({"limits": {"body": "1MiB"}}) as running, running.connect() as client:
        for encoding, packed in bombs().values():
            client.send(post(packed, f"Content-Encoding: {encoding}"))
            reply = client.read()
            assert reply.status == 413
            assert reply.json["code"] == "too_large"
        client.send(post())
        assert client.read().status == 200
        assert len(running.sink.batches) == 1
