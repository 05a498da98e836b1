"""Checks at load that secrets and names can be sent at all, so that they do not fail at delivery.

No message ever contains a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pipeline.config.models.webhooks.webhook import WebhookFile
from pipeline.config.yaml.diagnostics import KeyPath, Problems
from pipeline.config.yaml.placeholders import nested
from pipeline.deliver.http.guard import Network, check_url_literal, parse_allow
from pipeline.deliver.http.target import TargetError, parse_proxy
from pipeline.language.headers import NAME, OURS, is_reserved
from pipeline.language.secrets import PlaceholderError, SecretRef, Secrets, parse_placeholders, refs_in
from pipeline.model.errors import ConfigError
from pipeline.model.json import Value, leaves

_HEADER = re.compile(r"[^\t\x20-\x7e]")
"""What no header of the aiohttp client can carry; it writes UTF-8."""
_LATIN = re.compile(r"[^\t\x20-\x7e\xa0-\xff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NO_TEXT = re.compile(r"[\ud800-\udfff]")
_PROXY_TEXT = re.compile(r"[\x00-\x20\x7f-\x9f\ud800-\udfff]")


def check_sendable(
    model: WebhookFile, problems: Problems, secrets: Secrets, allow: tuple[Network, ...]
) -> None:
    """Report secrets, header names and proxy of a webhook that could not be sent."""
    _check_header_names(model, problems)
    for path, text, bad in _texts(model):
        found = _found(text, bad, secrets)
        if found is not None:
            ref, character = found
            what = f"secret {ref}" if ref is not None else f"`{'.'.join(map(str, path))}`"
            problems.error(
                path,
                "wrong-secret",
                f"{what} holds {_named(character)}: it cannot be sent",
                hint="line ends at its end are cut off, what is inside must be put right",
                offset=max(0, text.find("${" + ref.key)) if ref is not None else None,
            )
    for path, text in (*receiver_texts(model), *_credentials(model)):
        doubt = _doubt(path, text, secrets)
        if doubt is not None:
            problems.warn(path, "wrong-secret", f"`{'.'.join(map(str, path))}` {doubt[0]}", hint=doubt[1])
    basic = model.request.auth.basic if model.request.auth is not None else None
    if basic is not None and ":" in (expanded(basic.username, secrets) or ""):
        place = ("request", "auth", "basic", "username")
        problems.error(place, "wrong-secret", "the user name of basic authentication holds a colon")
    if model.delivery.proxy is not None:
        _check_proxy(model.delivery.proxy, problems, secrets, allow)


def _doubt(path: KeyPath, text: str, secrets: Secrets) -> tuple[str, str] | None:
    """Return what makes a credential one that a receiver will hardly take, and the remedy."""
    whole = expanded(text, secrets) or ""
    if path[-2:] == ("bearer", "token") and whole[:7].lower() == "bearer ":
        return "begins with `Bearer`, which is written before it: it is sent twice", "leave it out"
    if path[1] not in ("auth", "signature", "headers", "query") or path[-1] == "prefix":
        return None
    written = [whole] if path[1] in ("auth", "signature") else []
    found = ((ref, secrets.find(ref) or "") for ref in refs_in(text))
    # What stands in the file is meant so.
    for value in (*written, *(value for ref, value in found if value != ref.default)):
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            return (
                "stands in quotes, which are sent with it",
                "env files of Docker and Kubernetes keep quotes: write NAME=value there",
            )
        if value != value.strip() and (value.strip() or path[1] != "signature"):
            return "begins or ends with a blank, which is sent with it", "take the blank away"
    return None


def check_defaults(model: WebhookFile, problems: Problems) -> None:
    """Refuse ``${A:-${B}}``, as a shell takes it: what is sent would be neither. Stored versions keep it.

    Those of `receiver_texts` are checked with their other faults.
    """
    if problems.stored:
        return
    batch = model.delivery.batch
    others = (
        *_strings(model.vars, ("vars",)),
        *_strings(model.request.headers, ("request", "headers")),
        *_strings(None if batch is None else batch.wrap, ("delivery", "batch", "wrap")),
    )
    for path, text, _ in (*_request_texts(model), *others):
        if (problem := nested(path, text)) is not None:
            problems.found.append(problem)


_EVERY: Final = parse_allow(("0.0.0.0/0", "::/0"))


def refuse_literal(path: KeyPath, host: str, allow: tuple[Network, ...], problems: Problems) -> bool:
    """Add an error, and return True, where the host is an address that the guard refuses."""
    why = check_url_literal(host, allow)
    if why is not None:
        hint = "open it with `network: {allow: [..]}` in pipeline.yaml if that is meant"
        opens = check_url_literal(host, _EVERY) is None
        problems.error(
            path, "refused-address", f"`{host}` will not be dialled: {why}", hint=hint if opens else None
        )
    return why is not None


def expanded(text: str, secrets: Secrets) -> str | None:
    """Return a text with its secrets; None where a missing or wrong one is reported elsewhere."""
    if nested((), text) is not None:
        return None
    try:
        return secrets.expand(text)
    except (ConfigError, PlaceholderError):
        return None


def receiver_texts(model: WebhookFile) -> Iterator[tuple[KeyPath, str]]:
    """Yield the texts that the engine expands when it sends, except URL, headers and body."""
    request = model.request
    if request.auth is not None:
        for path, value in leaves(request.auth.model_dump(), ("request", "auth")):
            if isinstance(value, str):
                yield path, value
    if request.signature is not None:
        if request.signature.hmac is not None:
            for name in ("prefix", "secret"):
                yield ("request", "signature", "hmac", name), getattr(request.signature.hmac, name)
        if request.signature.standard_webhooks is not None:
            for index, value in enumerate(request.signature.standard_webhooks.secrets):
                yield ("request", "signature", "standard_webhooks", "secrets", index), value
    if request.ca is not None:
        yield ("request", "ca"), request.ca
    if model.delivery.proxy is not None:
        yield ("delivery", "proxy"), model.delivery.proxy


def _texts(model: WebhookFile) -> Iterator[tuple[KeyPath, str, re.Pattern[str]]]:
    """Yield each text that is sent, and what it must not contain; the request's compiler checks `headers`."""
    for path, text in receiver_texts(model):
        match path[1:]:
            case ("auth", "bearer", "token") | ("auth", "header", "value") | ("signature", "hmac", "prefix"):
                yield path, text, _HEADER if model.delivery.client == "aiohttp" else _LATIN
            case ("auth", "mtls", _) | ("auth", "header", "name"):
                pass
            case ("auth", *_):
                yield path, text, _CONTROL
            case ("signature", "hmac", _):
                yield path, text, _NO_TEXT
    yield from _request_texts(model)


def _request_texts(model: WebhookFile) -> Iterator[tuple[KeyPath, str, re.Pattern[str]]]:
    yield ("request", "url"), model.request.url, _NO_TEXT
    yield from _strings(model.request.query, ("request", "query"))
    yield from _strings(model.request.body, ("request", "body"))


def _credentials(model: WebhookFile) -> Iterator[tuple[KeyPath, str]]:
    """Yield the texts with secrets of the headers and the query."""
    for part, tree in (("headers", model.request.headers), ("query", model.request.query)):
        for path, text, _ in _strings(tree, ("request", part)):
            yield path, text


def _strings(tree: Value, path: KeyPath) -> Iterator[tuple[KeyPath, str, re.Pattern[str]]]:
    for place, text in leaves(tree, path):
        if isinstance(text, str) and "${" in text:
            yield place, text, _NO_TEXT


def _found(text: str, bad: re.Pattern[str], secrets: Secrets) -> tuple[SecretRef | None, str] | None:
    """Return the secret (None: the text itself) and the offending character."""
    try:
        parts = parse_placeholders(text.rstrip("\r\n"))
    except PlaceholderError:
        return None  # reported where it stands
    for part in parts:
        if isinstance(part, SecretRef):
            value = secrets.find(part)
            found = bad.search(value) or _NO_TEXT.search(value) if value is not None else None
            if found is not None:
                return part, found.group()
        elif (found := bad.search(part)) is not None:
            return None, found.group()
    return None


def _named(character: str) -> str:
    if character in "\r\n\x85":
        return "a line end inside"
    if "\ud800" <= character <= "\udfff":
        return "bytes that are no UTF-8"
    return "a control character" if _CONTROL.match(character) else "a character that is not ASCII"


def _check_header_names(model: WebhookFile, problems: Problems) -> None:
    """Refuse in `auth` and `signature` what `headers` refuses, and a name used twice."""
    request = model.request
    auth, signature = request.auth, request.signature
    taken = {name.lower(): f"headers.{name}" for name in request.headers}
    named: list[tuple[KeyPath, str]] = []
    if auth is not None and auth.header is not None:
        named.append((("request", "auth", "header", "name"), auth.header.name))
    elif auth is not None:
        kinds = [kind for kind in ("basic", "bearer", "oauth2") if getattr(auth, kind) is not None]
        named += [(("request", "auth", kind), "authorization") for kind in kinds]
    if signature is not None and signature.hmac is not None:
        at = ("request", "signature", "hmac")
        named.append(((*at, "header"), signature.hmac.header))
        if signature.hmac.timestamp_header is not None:
            named.append(((*at, "timestamp_header"), signature.hmac.timestamp_header))
    for place, name in named:
        lowered, dotted = name.lower(), ".".join(map(str, place[1:]))
        # An HMAC may take the place of our own signature.
        is_ours = lowered == "webhook-signature" and place[-1] == "header"
        if not NAME.fullmatch(name):
            problems.error(place, "header-name", f"`{name}` is no header name")
        elif (is_reserved(name) and not is_ours) or lowered in OURS:
            problems.error(place, "header-reserved", f"the header `{name}` is set by the sender")
        elif lowered in taken:
            message = f"`{dotted}` and `{taken[lowered]}` of `request` both set the header `{name}`"
            problems.error(place, "header-twice", message, hint="keep one of them")
        taken.setdefault(lowered, dotted)


def _check_proxy(text: str, problems: Problems, secrets: Secrets, allow: tuple[Network, ...]) -> None:
    place = ("delivery", "proxy")
    written = expanded(text, secrets)
    if written is None:
        return
    try:
        if _PROXY_TEXT.search(written.strip()):
            raise TargetError("it holds a blank or a control character: write it percent-encoded")
        host = parse_proxy(written).origin.host
    except TargetError as error:
        hint = "write http://host:port or http://user:password@host:port, both percent-encoded"
        problems.error(place, "wrong-proxy", f"`delivery.proxy`: {error}", hint=hint)
        return
    refuse_literal(place, host, allow, problems)
