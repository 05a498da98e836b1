"""Slips in the files of a config: `check` and the schema of the editor agree on them.

A file that uses every field is changed in one or two places at random; both then say whether it is one.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]  # it has no annotations

from pipeline.compile.snapshot import compile_config
from pipeline.config.files import ConfigText
from pipeline.config.job import load_pipeline
from pipeline.config.models.webhooks.case import CaseFile, ShapeCaseFile
from pipeline.language.secrets import Secrets
from pipeline.model.errors import ConfigError
from pipeline.model.findings import Finding
from pipeline.operate.schemas.files import schema
from pipeline.operate.trials.results import read_file

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
    "pipeline": ("pipeline.yaml", {
        "source": {"kafka": {
            "brokers": ["b:9092"], "events": ["e"], "users": "u", "group": "g", "start": "latest", "out_of_range": "error", "format": "auto",
            "topics": {"t": {"format": "debezium", "side": "users", "key": ["id"], "exclude": ["p"], "rename": {"mail": "email"}, "as": "user"}},
            "settings": {"security.protocol": "SSL", "socket.timeout.ms": 100, "enable.ssl.certificate.verification": True},
        }},
        "state": "st", "shards": 4, "epoch": "1s", "exclude": ["L"], "disk_reserve": "1GiB",
        "join": {"max_wait": "1s", "settle": "10ms", "partitions": "apart", "max_merged": 10},
        "limits": {"record": "1MiB", "members": 10, "id": 100, "user_properties": 10, "user": "1MiB"},
        "network": {"allow": ["127.0.0.0/8"]}, "log": {"level": "info", "format": "json"},
        "delivery": {"timeout": "5s", "retry": {"max_age": "1h", "statuses": [425]}, "proxy": "http://p:1", "client": "aiohttp"},
        "dead_letters": {"max_bytes": "1GiB", "max_age": "1d", "kafka": {"topic": "d", "brokers": "b:1", "settings": {"a": "b"}}},
        "collect": {
            "listen": "127.0.0.1:80", "to": {"recording": "./c"},
            "keys": {"web": {"key": ["k"], "origins": ["https://s.example"], "protocols": ["segment", "posthog"]}},
            "hooks": {"stripe": {"verify": {"stripe": ["${T:-t}"]}, "format": "native"}},
            "limits": {"body": "1MiB", "member": "1KiB", "members": 5, "in_flight": "64MiB", "hold": "5s", "connections": 10},
            "clock": {"correct": True, "tolerance": "5s", "max_future": "1m"},
            "dedupe": "10m", "order": "50ms", "keep": "7d", "retain": "1d", "reserve": "1GiB", "segment": "64MiB", "segment_age": "1h",
        },
        "console": {"listen": 8780, "hosts": ["h"], "base_path": "/x", "tokens": "t", "behind_proxy": True, "proxy": {"from": ["10.0.0.5/32"], "user_header": "X-U", "role": "viewer"}, "audit": "a", "mask": ["user.properties.email"], "secrets": {"T": ["h.example"]}},
    }),
    "test": ("webhooks/a.test.yaml", {
        "settings": {"A": "b"}, "exclude": ["L"], "format": "native",
        "cases": [
            {"name": "n", "users": [{"id": "u", "properties": {"p": 1}}], "events": [{"name": "A", "properties": {"x": 1}}], "exact": True,
             "expect": {"method": "POST", "url": "https://h/x", "headers": {"a": "b"}, "body": {"a": [1]}}},
            {"name": "m", "users": [{"anonymous_id": "a"}], "events": [{"name": "A"}], "expect": [{"dead_letter": "x"}, {"url": "u"}]},
            {"name": "o", "events": [{"name": "A"}], "expect": "none"},
        ],
    }),
    "shape-test": ("shapes/shop.test.yaml", {
        "lines": [{"a": 1}, "text"], "expect": [{"type": "event"}], "exact": True,
        "cases": [{"name": "n", "lines": [{"a": 1}], "expect": [{"dead_letter": "x"}], "exact": False}],
    }),
}  # fmt: skip
_VALUES: Final[tuple[Any, ...]] = (
    5, 0, -1, 1.5, "x", "", True, False, None, [], {}, ["a"], [5], {"a": 1}, {"text": "x"}, "10s", "0s", "5/s", "1MB",
    "{{ event.id }}", "event.properties.q", "*", "null",
)  # fmt: skip
_VARIABLES: Final = {"A": "b", "T": "t"}
_SECRETS: Final = Secrets(_VARIABLES)
_BEYOND_FORM: Final = frozenset({
    "header-name", "missing-file", "no-table", "no-template", "secret-in-condition", "template-syntax", "unknown-format", "url-origin", "wrong-name", "wrong-path",
    "wrong-secret", "wrong-selector",
})  # fmt: skip
"""Codes of faults in what a text says, which no schema sees."""
_SENTENCES: Final = (
    "`wrap` has no place", "a pattern of `find`", "invalid pattern", "`*` stands alone", "a path starts with", "an origin is", "is no time",
    "is no broker", "is no name of a header", "a broker is missing", "is no host name", "is no name of a topic", "is not a network", "is not an address", "is no path",
    "is not known here", " or more, not the ", " at most", "the secret of",
)  # fmt: skip
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
    return fault.code in _BEYOND_FORM or any(said in fault.message for said in _SENTENCES)


def _found(file: str, text: str) -> Sequence[Finding]:
    if file.endswith(".test.yaml") or file == "pipeline.yaml":
        with TemporaryDirectory() as folder:
            path = Path(folder, Path(file).name)
            path.write_text(text)
            if file == "pipeline.yaml":
                return load_pipeline(folder, environ=_VARIABLES).findings
            try:
                read_file(path, file, CaseFile if file.startswith("webhooks") else ShapeCaseFile)
            except ConfigError as error:
                return error.findings
            return []
    return compile_config(ConfigText({file: text}), secrets=_SECRETS).findings


def disagreement(chance: random.Random) -> str | None:
    """Return what `check` and the schema say of one slip, and its file; None where they agree."""
    kind = chance.choice(list(FILES))
    file, whole = FILES[kind]
    tree = slipped(chance, whole)
    if chance.random() < 0.3 and tree:
        tree = slipped(chance, tree)
    text = json.dumps(tree)
    errors = [one for one in _found(file, text) if not one.warning]
    slips = [str(one.message) for one in _VALIDATORS[kind].iter_errors(tree)]
    if bool(errors) == bool(slips) or (errors and all(map(_is_beyond_form, errors))):
        return None
    told = errors[0].message if errors else slips[0][:200]
    return f"{'check' if errors else 'the schema'} alone refuses ({told}): {text}"
