"""Incoming webhooks of third parties, each at its own path.

    POST /hooks/NAME    a webhook of the party that the config names so; its signature is its key

The body is one record, whatever it holds, read by the shape that the hook names (`hk-format`). A form with a
`payload` (GitHub can be set to it) is the JSON inside. The answer is 200 without a body; 401 where the
signature does not hold, and then nothing is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import msgspec

from pipeline.collect.protocols import answers
from pipeline.collect.protocols.cutting import members
from pipeline.collect.protocols.hooks.verify import WAYS, Unverified, first_of
from pipeline.collect.protocols.protocol import Cut, Extra, Malformed, Piece, Settings
from pipeline.collect.request import Answer, Request

_FORM = b"payload="


@dataclass(slots=True, frozen=True)
class Hook:
    """One configured hook."""

    way: str
    """How it is signed: a name of `verify.WAYS`."""
    secrets: Sequence[str]
    format: str
    """The shape that reads it."""


class _Look(msgspec.Struct, gc=False):
    id: Any = None


_look = msgspec.json.Decoder(_Look).decode


class Webhooks(answers.Plain):
    """One hook's requests. Raises ConfigError for a secret that is none."""

    name = "hooks"

    def __init__(self, settings: Settings, name: str, hook: Hook) -> None:
        super().__init__(settings)
        self._hook = name
        self._way = WAYS[hook.way]
        self._secrets = [self._way.prepare(secret) for secret in hook.secrets]
        self._format = (("hk-format", hook.format.encode()),)

    def cut(self, request: Request, says: str) -> Cut:
        """Return the record, when its signature holds. Raises Malformed."""
        way = self._way
        try:
            way.check(request.headers, request.raw, self._secrets, request.received_ms / 1000)
        except Unverified as error:
            raise Malformed(str(error), 401) from None
        text = request.body.strip()
        if text.startswith(_FORM):
            text = _of_form(text)
        if not text:
            raise Malformed("the body is empty")
        members.within([text], self.settings.limits)
        kept: Extra = tuple(
            (name, value.encode("utf-8", "surrogatepass"))
            for name in way.kept
            if (value := request.headers.get(name)) is not None
        )
        piece = Piece(text, same=first_of(request.headers, way.delivery) or _id_in(text), extra=kept)
        return Cut(self, None, [piece], self._format, hook=self._hook)

    def malformed(self, request: Request, error: Malformed) -> Answer:
        """Return the reason: parties show it to their users."""
        code = "unverified" if error.status == 401 else "refused"
        return answers.as_json(error.status, {"code": code, "message": error.reason})


def _of_form(text: bytes) -> bytes:
    try:
        found = parse_qs(text.decode(), errors="surrogateescape", max_num_fields=8).get("payload", [""])
    except ValueError:
        return text
    return found[0].encode("utf-8", "surrogateescape").strip()


def _id_in(text: bytes) -> str | None:
    try:
        return members.id_of(_look(text).id)
    except members.NOT_SEEN:
        return None
