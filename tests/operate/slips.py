"""Slips in the files of a config: `check` and the schema of the editor agree on them.

A file that uses every field is changed in one or two places at random; both then say whether it is one.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]  # it has no annotations

from pipeline.compile.snapshot import compile_config
from pipeline.config.files import ConfigText
from pipeline.language.secrets import Secrets
from pipeline.model.findings import Finding
from pipeline.operate.schemas.files import schema

# ruff: noqa: E501 - trees read best as they are written
FILES: Final[dict[str, tuple[str, Any]]] = {
    "webhook": ("webhooks/a.yaml", {
        "id": "a", "description": "d", "enabled": True, "include_excluded": False, "vars": {"x": 1, "y": {"setting": "${A:-b}"}},
        "trigger": {"events": ["A"], "where": [{"event.name": "A"}], "sample": {"percent": 10, "by": "user.id"}, "repeat": {"count": 3, "within": "10m", "by": "event.properties.p"}},
        "limit": {"per": "user", "count": 1, "every": "24h", "by": "event.properties.p"}, "dedupe": {"by": ["event.id"], "within": "24h"}, "idempotency": {"by": ["event.id"]},
        "request": {
            "method": "POST", "url": "https://h.example/x", "query": {"k": "v", "l": ["a", 1]}, "headers": {"X-A": "b"}, "encoding": "json", "missing": "omit", "body": {"a": "{{ event.id }}"},
            "auth": {"bearer": {"token": "${T:-t}"}}, "signature": {"hmac": {"header": "X-S", "secret": "${T:-t}", "algorithm": "sha256", "encoding": "hex", "prefix": "p="}},
        },
        "delivery": {
            "timeout": "10s", "concurrency": 64, "rate": "100/s", "ordering": "none", "retry": {"min_delay": "1s", "max_delay": "1h", "max_age": "72h", "max_attempts": 5, "statuses": [425]},
            "max_pending": 100, "max_pending_bytes": "1GiB", "on_full": "pause", "max_pause": "5s", "batch": {"max_events": 10, "max_bytes": "1MB", "max_wait": "1s", "as": "array", "wrap": {"d": "{{ items }}"}},
            "fail_when": {"response.ok": False}, "client": "native",
        },
    }),
    "label": ("labels/l.yaml", {
        "name": "L", "description": "x",
        "any": [{"events": ["a"], "where": {"event.source": "ios"}}, {"capture": {"kind": "click", "selector": "a.b", "text": {"glob": "S*"}, "href": "/x", "path": ["/a"], "url": {"starts_with": "h"}}}],
    }),
    "shape": ("shapes/shop.yaml", {
        "name": "shop", "description": "d",
        "records": [
            {"when": [{"kind": "order"}], "event": {
                "name": "type", "user_id": ["a.id", "c"], "anonymous_id": "d.id", "id": "uid", "time": {"path": "ts", "unit": "ms"}, "context": "*", "source": {"text": "s"}, "kind": "k",
                "properties": {"total": "p.t", "x": {"text": "X"}, "j": {"join": ["a", "b"], "with": ":"}, "f": {"path": "u", "find": "^(a)"}, "l": {"path": "e", "lower": True}, "js": {"json": "p", "path": "a"}},
            }},
            {"user": {"user_id": "id", "set": "attributes", "set_once": "f", "unset": "r", "delete": "gone"}},
            {"link": {"anonymous_id": "d", "user_id": "u"}}, {"ignore": True},
            {"event": [{"each": "l[*]", "when": [{"gift": False}], "name": {"text": "I"}, "user_id": "^.u", "properties": "."}]},
        ],
    }),
}  # fmt: skip
_VALUES: Final[tuple[Any, ...]] = (
    5, 0, -1, 1.5, "x", "", True, False, None, [], {}, ["a"], [5], {"a": 1}, {"text": "x"}, "10s", "0s", "5/s", "1MB",
    "{{ event.id }}", "event.properties.q", "*", "null",
)  # fmt: skip
_SECRETS: Final = Secrets({"A": "b", "T": "t"})
_BEYOND_FORM: Final = frozenset({
    "header-name", "missing-file", "no-template", "secret-in-condition", "template-syntax", "url-origin", "wrong-name", "wrong-path",
    "wrong-secret", "wrong-selector",
})  # fmt: skip
"""Codes of faults in what a text says, which no schema sees."""
_SENTENCES: Final = ("`wrap` has no place", "a pattern of `find`", "invalid pattern", "`*` stands alone")
"""The same, where the code is that of faults of form."""
_VALIDATORS: Final = {kind: jsonschema.Draft202012Validator(schema(kind)) for kind in FILES}


def _places(tree: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in inside:
        yield (*at, key)
        yield from _places(value, (*at, key))


_KEYS: Final = sorted(
    {key for _, tree in FILES.values() for place in _places(tree) for key in place if isinstance(key, str)}
    | {"basic", "ca", "changes", "content_type", "foo", "mtls", "oauth2", "proxy", "standard_webhooks"}
)


def slipped(chance: random.Random, tree: Any) -> Any:
    """Return the tree with another value, without a value, or with a new key."""
    tree = copy.deepcopy(tree)
    *path, last = chance.choice(list(_places(tree)))
    inside = tree
    for key in path:
        inside = inside[key]
    kind = chance.random()
    if kind < 0.6:
        inside[last] = copy.deepcopy(chance.choice(_VALUES))
    elif kind < 0.75:
        del inside[last]
    elif isinstance(inside, dict):
        inside[chance.choice(_KEYS)] = copy.deepcopy(chance.choice(_VALUES))
    return tree


def _is_beyond_form(fault: Finding) -> bool:
    return fault.code in _BEYOND_FORM or fault.message.startswith(_SENTENCES)


def disagreement(chance: random.Random) -> str | None:
    """Return what `check` and the schema say of one slip, and its file; None where they agree."""
    kind = chance.choice(list(FILES))
    file, whole = FILES[kind]
    tree = slipped(chance, whole)
    if chance.random() < 0.3 and tree:
        tree = slipped(chance, tree)
    text = json.dumps(tree)
    found = compile_config(ConfigText({file: text}), secrets=_SECRETS).findings
    errors = [one for one in found if not one.warning]
    slips = [str(one.message) for one in _VALIDATORS[kind].iter_errors(tree)]
    if bool(errors) == bool(slips) or (errors and all(map(_is_beyond_form, errors))):
        return None
    told = errors[0].message if errors else slips[0][:200]
    return f"{'check' if errors else 'the schema'} alone refuses ({told}): {text}"
