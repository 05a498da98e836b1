"""Joins rendered bodies into one: an array, lines, or a tree around `{{ items }}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

import orjson

from pipeline.config.models.webhooks.delivery import BatchSettings
from pipeline.config.yaml.diagnostics import Problems
from pipeline.language.secrets import Secrets
from pipeline.language.work import begin_next
from pipeline.model.errors import RenderError
from pipeline.model.json import Value
from pipeline.model.records import Event, Origin, User
from pipeline.render.body import compile_body
from pipeline.render.templates.spot import LineOf, Spot
from pipeline.render.var_secrets import inline

Join = Callable[[list[bytes]], bytes]

_NOTHING: Final = Event(None, "", "", None, None, None, None, None, {}, {}, Origin("", 0))
_NOBODY: Final = User(None, None, identified=False)
"""Passed to templates that want an event and a user: a batch has several."""
_ITEMS: Final = re.compile(r"\{\{[ \t\n]*items[ \t\n]*\}\}\n*")
_MENTION: Final = re.compile(r"\{[{%][^}]*\bitems\b")
_JSON: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)


def compile_wrap(
    batch: BatchSettings,
    *,
    vars: Mapping[str, Value],
    problems: Problems,
    file: str,
    secrets: Secrets | None = None,
    line_of: LineOf | None = None,
) -> Join:
    """Return the function that joins the JSON bodies of a batch, in order, into one body.

    array: ``[a,b]``. ndjson: one line each; a body that is an array gives one line per element. wrap: the
    tree with the array in place of `{{ items }}`. Slots in bodies and in the tree stay slots. problems: paths
    start at the batch's own keys, so pass ``problems.at("delivery", "batch")``.
    """
    spot = Spot(problems, file, vars, ("wrap",), roots=("vars",), secrets=secrets, line_of=line_of)
    if batch.wrap is not None:
        if batch.as_ == "ndjson":
            spot.error("batch", "`wrap` makes one JSON body, `as: ndjson` makes lines: keep one", on_key=True)
        return _wrapped(inline(batch.wrap, vars), spot)
    return join_lines if batch.as_ == "ndjson" else join_array


def join_array(bodies: list[bytes]) -> bytes:
    """Return the bodies as one JSON array."""
    return b"[" + b",".join(bodies) + b"]"


def join_lines(bodies: list[bytes]) -> bytes:
    """Return the bodies as lines, each ended by a line feed; an array gives a line per element."""
    lines: list[bytes] = []
    for body in bodies:
        if body[:1] == b"[":
            lines.extend(split_array(body))
        else:
            lines.append(body)
    lines.append(b"")
    return b"\n".join(lines)


def split_array(body: bytes) -> list[bytes]:
    """Return the elements of a compact JSON array as raw texts (with slots it is not JSON to parse)."""
    elements: list[bytes] = []
    depth, start = 0, 1
    for token in _JSON.finditer(body):
        sign = token.group()
        if sign in (b"[", b"{"):
            depth += 1
        elif sign in (b"]", b"}"):
            depth -= 1
            if depth == 0 and token.start() > start:
                elements.append(body[start : token.start()])
        elif sign == b"," and depth == 1:
            elements.append(body[start : token.start()])
            start = token.end()
    return elements


def _wrapped(tree: Value, spot: Spot) -> Join:
    found = _check_items(tree, spot)
    if not found:
        spot.error(
            "batch", "`wrap` has no place for the items", hint='put "{{ items }}" where the array goes'
        )
    get = compile_body(tree, spot.at(roots=("items",))).get

    def wrap(bodies: list[bytes]) -> bytes:
        items = orjson.Fragment(join_array(bodies))
        begin_next(_NOTHING, _NOBODY)
        return orjson.dumps(get(_NOTHING, _NOBODY, {"items": items}))

    if found and not spot.problems.errors:
        try:
            wrap([b"{}"])
        except RenderError as error:
            # It reads nothing that differs between batches.
            spot.refuse("batch", f"it would fail for every batch: {error}")
    return wrap


def _check_items(tree: Value, spot: Spot) -> int:
    """Report every use of items except the value `{{ items }}` itself; return the number of those."""
    if isinstance(tree, dict):
        for directive in ("$for", "$spread"):
            if _MENTION.search(str(tree.get(directive))):
                message = f"`{directive}` cannot look into `items`, which are rendered already"
                spot.at(directive).refuse("batch", message, hint="write it in `request.body`")
        return sum(_check_items(one, spot.at(str(key))) for key, one in tree.items())
    if isinstance(tree, list):
        return sum(_check_items(one, spot.at(index)) for index, one in enumerate(tree))
    if not isinstance(tree, str) or not _MENTION.search(tree):
        return 0
    if _ITEMS.fullmatch(tree):
        return 1
    spot.error(
        "batch", "`items` stands alone: it is the array of rendered bodies", hint='write "{{ items }}"'
    )
    return 1
