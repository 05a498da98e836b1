"""Requests as they come, and what the table makes of them."""

from __future__ import annotations

import gzip
import json
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.collect.batch import Member
from pipeline.collect.protocols.protocol import Cut, Malformed, Settings
from pipeline.collect.protocols.table import Table
from pipeline.collect.request import Answer, Request
from tests.kit.streams.samples import shared_data

PAGE = "https://shop.example"
TABLE = Table(Settings())
NOW = 1795866291000
"""2026-11-28T11:44:51Z: within seconds of what the captured SDKs say."""


def asked(
    method: str,
    target: str,
    body: bytes | str | object = b"",
    headers: Mapping[str, str | None] | None = None,
    *,
    at: int = NOW,
) -> Request:
    """Return a page's request; a server's where ``origin`` is None.

    A body that is neither bytes nor text is written as JSON, gzip is unpacked.
    """
    address = urllib.parse.urlsplit(target)
    query = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
    raw = body if type(body) is bytes else (body if type(body) is str else json.dumps(body)).encode()
    try:
        unpacked = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError):
        unpacked = raw  # the server would not have let it through
    return Request(
        method,
        urllib.parse.unquote(address.path),
        query,
        {name: text for name, text in {"origin": PAGE, **(headers or {})}.items() if text is not None},
        unpacked,
        at,
        raw,
    )


def cut(request: Request, table: Table = TABLE) -> Cut:
    route = table.find(request.method, request.path)
    assert route is not None, request.path
    return route.cut(request)


def members_of(request: Request, table: Table = TABLE) -> list[Member]:
    """Return what is kept of a request under the key `web`."""
    return list(cut(request, table).batch("web", request).members)


def answer_of(request: Request, table: Table = TABLE) -> Answer:
    """Return what a request is answered whose key is known and whose members are kept."""
    route = table.find(request.method, request.path)
    assert route is not None, request.path
    try:
        found = route.cut(request)
    except Malformed as error:
        return route.protocol.malformed(request, error)
    return found.answer or found.protocol.accepted(request, found, 0)


def json_of(answer: Answer) -> Any:
    return json.loads(answer.body)


def headers_of(member: Member) -> dict[str, str]:
    return {name: value.decode() for name, value in member.headers}


def captured() -> Iterator[Request]:
    """Yield every request that a real SDK sent."""
    for line in (shared_data() / "events/sdk-captures/requests.jsonl").read_text().splitlines():
        sent = json.loads(line)
        yield asked(sent["method"], sent["path"], sent["body"].encode(), sent["headers"])
