"""Helpers of this room's tests: an event, a user, and a webhook compiled from plain data."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.config.models.validate import check
from pipeline.config.models.webhooks.webhook import Request
from pipeline.config.yaml.diagnostics import Problems
from pipeline.language.paths import Scope
from pipeline.language.secrets import Secrets
from pipeline.language.slots import mask
from pipeline.model.errors import RenderError
from pipeline.model.records import Event, Origin, User
from pipeline.model.times import parse_time
from pipeline.render.request import Rendered, RequestTemplate, compile_request
from tests.kit.streams.records import event, user

AT = parse_time("2026-11-23T14:50:00.123Z")
PROPERTIES = {
    "text": "a",
    "none": None,
    "empty": "",
    "no": False,
    "zero": 0,
    "list": [],
    "object": {},
    "products": [{"id": "p1", "qty": 3, "new": True}, {"id": "p2", "qty": 1}],
    "prices": {"eur": 1, "usd": 2},
    "nested": [[1, 2], [3]],
}
USER = {"plan": "pro", "email": "ann@acme.com"}


def an_event(properties: dict[str, Any] | None = None, **fields: Any) -> Event:
    """Return a Purchase of u1 with these properties."""
    return event(properties=properties, **{"time": AT, "origin": Origin("recording.jsonl", 0), **fields})


def a_user(properties: dict[str, Any] | None = None, **fields: Any) -> User:
    """Return u1 with these properties."""
    return user(properties, **fields)


def path_equals(tree: Any, problems: Problems) -> Any:
    """Compile the only condition these tests need: one path that equals a value."""
    from pipeline.language.path_syntax import EVENT_ROOTS, parse_path
    from pipeline.language.paths import compile_path

    ((path, wanted),) = tree.items()
    get = compile_path(parse_path(path, (*EVENT_ROOTS, "item", "index")))

    def holds(event: Event, user: User, scope: Scope) -> bool:
        return bool(get(event, user, scope) == wanted)

    return holds


def read_request(
    request: dict[str, Any], *, stored: bool = False, **options: Any
) -> tuple[RequestTemplate | None, Problems]:
    """Check and compile a request; the problems are those of a file whose `request:` it is."""
    problems = Problems(stored=stored)
    model = check(Request, {"url": "https://x.example/", **request}, problems.at("request"), what="a request")
    if model is None:
        return None, problems
    given: dict[str, Any] = {
        "vars": {},
        "condition": path_equals,
        "settings": {},
        "secrets": Secrets({"TOK": "s3cr3t", "SID": "sid"}),
        "file": "webhooks/w.yaml",
    }
    return compile_request(model, problems=problems.at("request"), **{**given, **options}), problems


def compiled(request: dict[str, Any], **options: Any) -> tuple[RequestTemplate, Problems]:
    """Compile a request whose fields are all as they should be."""
    template, problems = read_request(request, **options)
    assert template is not None, problems.found
    return template, problems


def rendered(
    request: dict[str, Any], event: Event | None = None, user: User | None = None, **options: Any
) -> Rendered:
    """Compile a request that must be without mistakes, and render it."""
    template, problems = compiled(request, **options)
    assert not problems.errors, problems.found
    return template.render(event or an_event(), user or a_user())


def mistakes(request: dict[str, Any], **options: Any) -> list[str]:
    """Return the problems of a request: code, message and hint in one line each."""
    _, problems = read_request(request, **options)
    return [f"{problem.code}: {problem.message} ({problem.hint})" for problem in problems.found]


def shown(request: Rendered) -> Rendered:
    """Return the request as a dry run shows it."""
    return Rendered(
        request.method,
        mask(request.url),
        tuple((name, mask(value)) for name, value in request.headers),
        mask(request.body),
    )


def body_of(body: Any, **request: Any) -> Any:
    """Return the decoded body."""
    return orjson.loads(rendered({"body": body, **request}, an_event(PROPERTIES), a_user(USER)).body)


def dead(body: Any, **request: Any) -> str:
    """Return the reason why there is no body."""
    with pytest.raises(RenderError) as caught:
        rendered({"body": body, **request}, an_event(PROPERTIES), a_user(USER))
    return str(caught.value)
