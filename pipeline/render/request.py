"""A webhook's `request:` compiled once, rendered per event.

The result holds secrets only as slots (language/slots.py); the delivery engine fills them when it sends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, NoReturn, cast

import msgspec
import orjson

from pipeline.config.models.webhooks.webhook import Request
from pipeline.config.yaml.diagnostics import Problems
from pipeline.language.headers import CONTENT_TYPES
from pipeline.language.paths import Getter, Scope
from pipeline.language.secrets import Secrets
from pipeline.language.slots import Encoding, Headers, header_safe
from pipeline.language.work import TooExpensive, begin, extent, spend_at
from pipeline.model.errors import RenderError
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, User
from pipeline.render.body import Part, compile_body
from pipeline.render.form import encode_form
from pipeline.render.headers import compile_headers
from pipeline.render.loops import OMIT
from pipeline.render.templates.foreign import filled
from pipeline.render.templates.spot import ConditionCompiler, LineOf, MissingRule, Spot, fail
from pipeline.render.templates.template import around
from pipeline.render.text_body import MAX_BODY, Bytes, compile_text_body
from pipeline.render.url import compile_url
from pipeline.render.values.printing import Failure, reason_of
from pipeline.render.values.size import printed_size, repeats
from pipeline.render.var_secrets import inline_request

_PER_PARAMETER: Final = 12
"""Work of writing one value into a form, relative to touching it."""
BODILESS: Final = ("GET", "DELETE")
DEFAULT_BODY: Final[Mapping[str, Value]] = {"event": "{{ event }}", "user": "{{ user }}"}
_UNDER_A_NAME: Final = "put it under a name, such as `items: ..`, or leave out `encoding: form`"
_AS_JSON: Final = re.compile(r"\{\{[^{}]*\|\s*json\s*-?\}\}")
_FIRST_KEY: Final = re.compile(r"""\{\s*["']?([A-Za-z_][\w-]*)["']?\s*:""")


class Rendered(msgspec.Struct, frozen=True, gc=False):
    """One request, with slots where secrets go."""

    method: str
    url: str
    headers: Headers
    body: bytes


@dataclass(slots=True, frozen=True, eq=False)
class RequestTemplate:
    """A compiled request."""

    method: str
    encoding: Encoding
    url: str | None
    """None: ``url_now`` returns it per event; headers likewise."""
    url_now: Getter
    headers: Headers | None
    headers_now: Getter
    body: Bytes
    place: str
    """What every URL begins with: `LaneSpec.place`."""

    def render(self, event: Event, user: User) -> Rendered:
        """Return the request for one event.

        Raises RenderError, with reason, value, file and line of the template, where it cannot be rendered;
        never anything else.
        """
        url, headers = self.url, self.headers
        try:
            if url is not None and headers is not None:
                return Rendered(self.method, url, headers, self.body(event, user))
            return self._render(event, user)
        except TooExpensive:
            begin(event, user)  # other webhooks have used up the budget
        return self._render(event, user)

    def _render(self, event: Event, user: User) -> Rendered:
        url, headers = self.url, self.headers
        if url is None:
            url = cast(str, self.url_now(event, user, None))
        if headers is None:
            headers = cast(Headers, self.headers_now(event, user, None))
        return Rendered(self.method, url, headers, self.body(event, user))


def compile_request(
    request: Request,
    *,
    vars: Mapping[str, Value],
    condition: ConditionCompiler,
    settings: Mapping[str, str],
    secrets: Secrets | None,
    problems: Problems,
    file: str,
    line_of: LineOf | None = None,
    batch_as: Literal["array", "ndjson"] | None = None,
) -> RequestTemplate:
    """Return the compiled `request:`; every mistake is reported to ``problems``.

    problems: paths start at the keys of ``request``, so pass ``problems.at("request")``. condition: compiles
    the condition of an `$if`; ``item`` and ``index`` are roots there too. settings: values of the
    placeholders that are plain settings, by `SecretRef.key`. secrets: where given, a secret without a value
    is an error. line_of: the line of a key path (from 1), for the reasons of dead letters. batch_as: how the
    webhook batches, for the content type.
    """
    request = inline_request(request, vars)
    method, encoding, tree = request.method, request.encoding, request.body
    spot = Spot(
        problems, file, vars, missing=request.missing or "null", form=encoding == "form",
        condition=condition, secrets=secrets, line_of=line_of,
    )  # fmt: skip
    url_spot = replace(spot.at("url"), settings=settings)
    place, url = compile_url(request.url, request.query, url_spot, spot.at("query"))
    extra: Headers = ()
    if method in BODILESS:
        if tree is not None:
            spot.at("body").error("body", f"{method} has no body", hint="use `query:` or POST", on_key=True)
        if batch_as is not None:
            spot.at("method").refuse("batch", f"a batch joins bodies, and {method} has none", hint="use POST")
        body: Bytes = lambda event, user: b""  # noqa: E731 - a name of its own would say no more
    else:
        written = "ndjson" if batch_as == "ndjson" and encoding == "json" else encoding
        extra = (("content-type", request.content_type or CONTENT_TYPES[written]),)
        if isinstance(tree, str) and encoding == "json":
            _refuse_json_text(tree, spot.at("body"))
        if batch_as is not None and encoding != "json":
            spot.at("encoding").refuse("batch", f"a batch joins JSON bodies, not those of `{encoding}`")
        if encoding == "text":
            body = compile_text_body(tree, spot.at("body"))
        else:
            body = _body(DEFAULT_BODY if tree is None else tree, spot.at("body"))
    headers, headers_now = compile_headers(request.headers, spot.at("headers"), extra)
    _check_header_secrets(headers, spot)
    fixed = url.value if url.constant else None
    return RequestTemplate(method, encoding, fixed, url.get, headers, headers_now, body, place)


def _refuse_json_text(text: str, spot: Spot) -> None:
    """Report JSON written as a text: it would arrive as a quoted, escaped JSON string."""
    if _AS_JSON.fullmatch(text.strip()) is not None:
        message = "the body is JSON inside of a JSON string"
        hint = "leave out `| json`: a value that is one expression is sent as what it is"
        spot.warn("json-text", message, hint=hint)
    bare = filled(text, "x").strip()
    if bare[:1] + bare[-1:] not in ("{}", "[]"):
        return
    key = _FIRST_KEY.match(bare)
    shown = f"{key[1]}: .." if key is not None else ".."
    spot.refuse(
        "json-text",
        "the body is one text that looks like JSON, and would be sent as a JSON string",
        hint=f"write it as YAML: {'{' + shown + '}' if bare[0] == '{' else '[..]'}, "
        "or say `encoding: text` to send the text as it is",
    )


def _check_header_secrets(headers: Headers | None, spot: Spot) -> None:
    """Report secrets that no header could carry while their author is looking."""
    if spot.secrets is None:
        return
    for name, text in headers or ():
        for ref in spot.used:
            if f"\x01{ref.source}\x02" not in text:
                continue
            value = spot.secrets.find(ref)
            if value is not None and not header_safe(value):
                spot.at("headers", name).error(
                    "header-value",
                    f"secret {ref} holds what a header cannot carry",
                    hint="a header is one line of ASCII: look for a line end inside, or a letter such as ü",
                )


def _body(tree: Value, spot: Spot) -> Bytes:
    part = compile_body(tree, spot)
    if part.constant:
        try:
            fixed = encode_form(part.value) if spot.form else orjson.dumps(part.value)
        except (Failure, TypeError) as error:
            spot.error("body", error.reason if isinstance(error, Failure) else reason_of(error))
            fixed = b""
        return lambda event, user: fixed
    place = spot.place("the body")
    if spot.form:
        _refuse_no_map(tree, spot)
        return _form_body(part, place)
    return _json_body(part, place, spot.missing, may_be_large=repeats(tree))


def _refuse_no_map(tree: Value, spot: Spot) -> None:
    """Report the body of a form, or a branch of it, that is never a map: its events would be dead letters."""
    key: tuple[str, ...] = ()
    if isinstance(tree, dict) and "$if" in tree:
        branches = [name for name in ("$then", "$else") if name in tree]
        for name in branches:
            _refuse_no_map(tree[name], spot.at(name))
        if "$then" not in branches:
            _refuse_no_map({name: tree[name] for name in tree if name not in ("$if", "$else")}, spot)
        return
    if isinstance(tree, dict) and "$for" in tree:
        key, what = ("$for",), "`$for` makes a list"
    elif isinstance(tree, list):
        what = "this is a list"
    elif isinstance(tree, str) and ("{%" in tree or tree.count("{{") > 1 or around(tree).strip()):
        what = "this is a text"
    elif isinstance(tree, (bool, int, float)):
        what = "this is one value"
    else:
        return
    message = f"a form is a map of fields, and {what}: each event would become a dead letter"
    spot.problems.refuse((*spot.path, *key), "body", message, hint=_UNDER_A_NAME, on_key=bool(key))


def _json_body(part: Part, place: str, missing: MissingRule, *, may_be_large: bool) -> Bytes:
    get, dumps = part.get, orjson.dumps

    def body(event: Event, user: User) -> bytes:
        try:
            value = get(event, user, None)
            if value is MISSING or value is OMIT:
                if value is OMIT or missing != "null":
                    raise RenderError(f"the whole body is left out ({place})")
                value = None
            if may_be_large and printed_size(value) > MAX_BODY:
                _refuse_size(place)
            made = dumps(value)
        except TooExpensive as error:
            fail(error, place)
        except RenderError:
            raise
        except TypeError as error:
            culprit, path = find_culprit(value)
            fail(Failure(reason_of(error), culprit), f"{place}{path}")
        except Exception as error:  # one dead letter, never a crash
            fail(error, place)
        if len(made) > MAX_BODY:
            _refuse_size(place)
        return made

    return body


def _refuse_size(place: str) -> NoReturn:
    raise RenderError(f"the body is larger than {MAX_BODY >> 20} MiB ({place})")


def _form_body(part: Part, place: str) -> Bytes:
    get: Callable[[Event, User, Scope], Value] = part.get

    def body(event: Event, user: User) -> bytes:
        try:
            value = get(event, user, None)
            spend_at(place, event, user, extent(value, _PER_PARAMETER))
            made = encode_form({} if value is OMIT or value is MISSING else value)
        except Exception as error:  # one dead letter, never a crash
            fail(error, place)
        if len(made) > MAX_BODY:
            _refuse_size(place)
        return made

    return body


def find_culprit(value: Value) -> tuple[Value, str]:
    """Return the first scalar that JSON cannot represent, and its place: ``.user.name[0]``."""
    todo: list[tuple[Value, str]] = [(value, "")]
    while todo and len(todo) < 1_000_000:
        one, path = todo.pop()
        if isinstance(one, dict):
            todo.extend((inner, f"{path}.{key}") for key, inner in reversed(one.items()))
            todo.extend((key, f"{path} (key)") for key in one)
        elif isinstance(one, list):
            todo.extend((inner, f"{path}[{index}]") for index, inner in reversed(list(enumerate(one))))
        else:
            try:
                orjson.dumps(one)
            except TypeError:
                return one, path
    return MISSING, ""
