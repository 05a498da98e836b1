"""URLs: a constant scheme, host and port, a path and a query whose values are percent-encoded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import quote, urlsplit

from pipeline.language.hosts import HostError, check_brackets, to_ascii
from pipeline.language.paths import Getter, Scope
from pipeline.language.secrets import PlaceholderError, SecretRef, origin_end, parse_placeholders
from pipeline.language.slots import PATH_SAFE
from pipeline.model.errors import RenderError
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, User
from pipeline.render.templates.parsing.names import TemplateError, check_closed
from pipeline.render.templates.spot import Spot
from pipeline.render.templates.template import Template, compile_text, constant_template
from pipeline.render.values.printing import HALF_A_PAIR, Failure, UrlPath, show, to_text

_INSIDE: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\$\{(?!\{)[^}]*\}", re.DOTALL)
_DOTS: Final = re.compile(r"(^|/)\.{1,2}(/|$)")
_CLIMBS: Final = re.compile(
    r"(^|/|\\|%2F|%5C)(?:\.|%2E){1,2}(?:(?:;|%3B)[^/]*)?(/|\\|%2F|%5C|$)", re.IGNORECASE
)
"""A segment `.` or `..` to a receiver that decodes before it splits, or cuts at `;`."""
_LEAVES: Final = re.compile(r"^/|[\\\x00-\x1f\x7f-\x9f]")
_QUERY_SAFE: Final = PATH_SAFE + "?%"
_PATH_LITERAL: Final = PATH_SAFE + "%"
_EMPTY: Final = ("", "[]", "{}")
"""How what is missing or empty prints."""
_DROPPED: Final = (MISSING, None, "", "%5B%5D", "%7B%7D")
"""The same as the value of a parameter."""


_ENCODED: Final = re.compile(r"\{\{[^{}]*?(\| *url_encode)\s*-?\}\}")
_OF_ITS_OWN: Final = re.compile(r"[^?]*(?:\?(?:[^?]*&)?[^?&/]*=)?")
"""What stands before a value that is in no address inside the URL: there, to encode it twice is right."""


MAX_URL: Final = 64 << 10
"""Maximum length of a URL made from an event: receivers and proxies accept 8 to 16 KiB."""


def compile_url(text: str, query: Mapping[str, Value], spot: Spot, query_spot: Spot) -> tuple[str, Template]:
    """Return the URL without parameters, or only scheme, host and port where its path is a template, and the
    compiled URL.

    Its function raises RenderError where a value in the path is empty.
    """
    text = text.strip()
    try:
        check_closed(text)
    except TemplateError as error:
        spot.mistake("template-syntax", error)
        return "", constant_template("")
    end = origin_end(text)
    origin = _origin(text[:end], spot)
    rest = text[end:]
    _warn_of_encoding(text, spot)
    blank = _INSIDE.sub(lambda found: "x" * len(found.group()), rest)
    if "#" in blank:
        spot.error("url", "a URL that is sent has no `#fragment`", offset=end + blank.index("#"))
    if space := re.search(r"\s", blank):
        spot.error("url", "white space in a URL", hint="write %20", offset=end + space.start())
    cut = blank.find("?")
    path_text, query_text = (rest, "") if cut < 0 else (rest[:cut], rest[cut + 1 :])
    path = _path(path_text, spot.shifted(end))
    parameters = [*_written(query_text, spot.shifted(end + cut + 1)), *_mapped(query, query_spot)]
    place = f"{origin}{path.value}" if path.constant else origin
    return place, _assemble(origin, path, parameters, spot, text)


def _origin(text: str, spot: Spot) -> str:
    """Return scheme, host and port with their settings resolved, checked."""
    if "{{" in text or "{%" in text:
        at = text.find("{{") if "{{" in text else text.find("{%")
        spot.error("url-origin", "scheme, host and port cannot be templates", offset=at)
        return "http://invalid"
    origin = ""
    try:
        for part in parse_placeholders(text):
            if isinstance(part, SecretRef):
                value = spot.settings.get(part.key, part.default)
                if value is None:
                    hint = f"set it in the environment, or write `${{{part.key}:-default}}`"
                    message = f"setting {part}: `{part.key}` is not set, or empty"
                    spot.error("missing-setting", message, hint=hint, offset=text.find("${" + part.key))
                    return "http://invalid"
                part = value
            origin += part
    except PlaceholderError as error:
        spot.mistake("placeholder", error)
        return "http://invalid"
    return _checked_origin(origin.rstrip("/"), spot)


def _checked_origin(origin: str, spot: Spot) -> str:
    try:
        split = urlsplit(origin)
        host, port = split.hostname, split.port
        if host and not host.isascii():
            # Invalid names are reported where files are checked (compile/lint).
            with suppress(HostError):
                origin = f"{split.scheme}://{to_ascii(host)}" + (f":{port}" if port is not None else "")
    except ValueError as error:  # UnicodeError is a ValueError
        spot.error("url-origin", f"this is no URL: {error}")
        return "http://invalid"
    if split.scheme not in ("http", "https"):
        shown = f", not with `{origin[:8]}`" if origin else ""
        spot.error("url-origin", f"a URL begins with https:// or http://{shown}")
    elif not host or re.search(r"[\s\\\x00-\x20<>\"^`{|}]", origin):
        spot.error("url-origin", "the URL has no valid host")
    elif split.username is not None:
        spot.error("url-origin", "user and password do not belong into the URL", hint="use `auth: basic`")
    elif split.query or split.fragment:
        hint = "write its parts: https://HOST/PATH?KEY=${SECRET}; what follows the host may be secret"
        spot.error("url-origin", "a setting before the path cannot hold a query", hint=hint)
    elif port == 0:
        spot.error("url-origin", "there is no port 0")
    else:
        try:
            check_brackets(split.netloc)
        except HostError as error:
            spot.refuse("url-origin", f"this is no URL: {error}")
        return origin
    return "http://invalid"


def _path(text: str, spot: Spot) -> Template:
    template = compile_text(
        text, spot, encode=_path_value, literal=lambda part: quote(part, safe=_PATH_LITERAL)
    )
    if template.constant and _DOTS.search(str(template.value)):
        spot.error("url", "a path cannot hold the segments `.` and `..`")
    return template


def _path_value(text: str) -> str:
    if text in _EMPTY:
        raise Failure("a value in the URL's path is missing or empty")
    _check_length(text)
    if type(text) is UrlPath:
        return text
    if _LEAVES.search(text):
        # Receivers and proxies that decode `%2F` before routing would see another path. Inside a value
        # it is data: ids such as `a/b` exist, and whether they escape the path is judged as a whole.
        raise Failure(
            "a value in the URL's path begins with `/` or holds `\\` or a control character; "
            "`| url_path` lets a leading `/` through where several segments are meant",
            text,
        )
    return _quoted(text)


def _check_length(text: str) -> None:
    """Raise Failure where a single value makes a URL too long, before it is examined."""
    if len(text) > MAX_URL:
        raise Failure(f"the URL has more than {MAX_URL:,} characters: a value in it has {len(text):,}")


def _value(text: str) -> str:
    _check_length(text)
    return _quoted(text)


def _quoted(text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise Failure(HALF_A_PAIR, ascii(text)) from None


def _warn_of_encoding(text: str, spot: Spot, before: str = "") -> None:
    for found in _ENCODED.finditer(text):
        if _OF_ITS_OWN.fullmatch(before + text[: found.start()]):
            message = "values in a URL are percent-encoded anyway: this one would be so twice"
            hint = f"leave `{found[1]}` out"
            spot.warn("template", message, hint=hint, offset=found.start(1), length=len(found[1]))


Parameter = tuple[str, Template]
"""``name=`` (or "" for a parameter written out in full) and the value; dropped where it is empty."""


def _written(text: str, spot: Spot) -> list[Parameter]:
    """Return the parameters written in the URL itself."""
    parameters: list[Parameter] = []
    start = 0
    blank = _INSIDE.sub(lambda found: "x" * len(found.group()), text)
    for piece in blank.split("&"):
        begin = start
        one = text[start : start + len(piece)]
        start += len(piece) + 1
        equals = piece.find("=")
        name = one[: equals + 1]
        if equals < 0 or _INSIDE.search(name):
            name = ""
        template = compile_text(
            one[len(name) :],
            spot.shifted(begin + len(name)),
            encode=_value,
            literal=lambda part: quote(part, safe=_QUERY_SAFE),
        )
        if one:
            parameters.append((quote(name, safe=_QUERY_SAFE), template))
    return parameters


def _mapped(query: Mapping[str, Value], spot: Spot) -> list[Parameter]:
    """Return the parameters of `query:`; a list repeats its name."""
    parameters: list[Parameter] = []
    for key, value in query.items():
        name, here = str(key), spot.at(key)
        if "{{" in name or "${" in name:
            here.error("template-in-key", "the name of a parameter cannot be a template", on_key=True)
        several = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for index, one in several:
            at = here if index is None else here.at(index)
            parameters.append((quote(name, safe="") + "=", _parameter(one, at)))
    return parameters


def _parameter(value: Value, spot: Spot) -> Template:
    if isinstance(value, str):
        _warn_of_encoding(value, spot, "?=")
        return compile_text(value.rstrip("\n"), spot, encode=_value, literal=_quoted)
    if isinstance(value, dict | list):
        spot.error("query", f"a parameter is a text, a number or a list of them, not {show(value)}")
        return constant_template("")
    return constant_template(None if value is None else _quoted(to_text(value)))


def _assemble(origin: str, path: Template, parameters: list[Parameter], spot: Spot, text: str) -> Template:
    kept: list[tuple[str, Getter, bool]] = [
        (name, template.get, template.constant)
        for name, template in parameters
        if not (template.constant and template.value is None)
    ]
    get_path = path.get
    is_constant = path.constant and all(constant for _, _, constant in kept)
    place = "" if is_constant else spot.place(text)

    def url(event: Event, user: User, scope: Scope) -> str:
        path_now = get_path(event, user, scope)
        if type(path_now) is str and "." in path_now and not path.constant and _CLIMBS.search(path_now):
            raise RenderError(f"a value makes a `.` or `..` of the URL's path: {show(path_now)} ({place})")
        made = f"{origin}{path_now}"
        mark = "?"
        for name, get, constant in kept:
            value = get(event, user, scope)
            if constant or value not in _DROPPED:
                made += f"{mark}{name}{value}"
                mark = "&"
        if len(made) > MAX_URL and not is_constant:
            raise RenderError(f"the URL has more than {MAX_URL:,} characters: {len(made):,} ({place})")
        return made

    if is_constant:
        nothing: Event = None  # type: ignore[assignment]  # constants look at neither event nor user
        return constant_template(url(nothing, nothing, None))  # type: ignore[arg-type]  # as above
    return Template(url)
