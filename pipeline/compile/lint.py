"""Warnings about a config that is valid but probably wrong: blocked addresses, secrets in plain text."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from pipeline.compile.sendable import check_defaults, check_sendable, expanded, receiver_texts, refuse_literal
from pipeline.config.files import ConfigText
from pipeline.config.models.webhooks.receiver import HmacSignature
from pipeline.config.models.webhooks.webhook import WebhookFile
from pipeline.config.yaml.diagnostics import KeyPath, Problems
from pipeline.config.yaml.placeholders import Lookup, among, sound_refs
from pipeline.deliver.http.guard import Network, check_url_literal, parse_allow
from pipeline.deliver.requests.signing import SecretError, StandardSigner, hmac_key
from pipeline.language.hosts import HostError, to_ascii
from pipeline.language.secrets import (
    PlaceholderError,
    SecretRef,
    Secrets,
    origin_end,
    parse_placeholders,
    refs_in,
    without_value,
)
from pipeline.model.files.plain_file import Sign, sign_of
from pipeline.model.json import Value, leaves
from pipeline.render.request import BODILESS

_SECRETS = frozenset({"password", "token", "value", "client_secret", "refresh_token", "secret"})
"""Fields of `auth` and `signature` that hold a secret, besides the list `secrets`."""
_SECRET_HEADER: Final = re.compile(
    r"authorization|.*(?:api|access|auth|secret)[-_]?(?:key|token).*|.*(?:secret|password).*", re.I
)
"""Names of headers that carry a secret."""
_SECRET_PARAMETER: Final = re.compile(rf"token|sig|{_SECRET_HEADER.pattern}", re.I)
_PARAMETER: Final = re.compile(r"[?&]([^=&{}$]+)=[^&{$]")
"""One written in the URL, with a value of its own."""
_SECRET_URL: Final = re.compile(
    r"https://(?:hooks\.slack\.com/services/|discord(?:app)?\.com/api/webhooks/)\w"
)
_BEFORE: Final = re.compile(r"\buser\.before\b")
_READS_BEFORE: Final = re.compile(r"\{[{%][^{}]*\buser\.before\b")
"""A template that reads it."""
_ANYBODY: Final = "the secret is empty: anybody could sign in your name"
_MAKE_ONE: Final = "make one with `hookline secret new`"
_PLACEHOLDER: Final = re.compile(r"\$\{[^}]*\}")
_BRACED: Final = re.compile(r"\{[a-z_]+\}")
_SHELL: Final = re.compile(r"(?:[A-Za-z]+ )?(?:\$([A-Z][A-Z0-9_]+)|%([A-Z][A-Z0-9_]+)%)")
"""`$TOKEN` and `%TOKEN%`, alone or after a scheme such as Bearer, or as a part of a URL."""


def lint_webhook(model: WebhookFile, text: ConfigText, problems: Problems, secrets: Secrets | None) -> None:
    """Add findings about a webhook file that its model and compilers accept.

    secrets: where given, secrets of authentication, signature and proxy must have a value, signing secrets
    must be readable, and certificate files must exist.
    """
    strict = secrets is not None
    _check_address(("request", "url"), model.request.url, text, problems, strict=strict)
    auth = model.request.auth
    if auth is not None and auth.oauth2 is not None:
        place: KeyPath = ("request", "auth", "oauth2", "token_url")
        _check_address(place, auth.oauth2.token_url, text, problems, strict=strict)
    for part in re.split("[/?&=]", model.request.url):
        _check_dollar(("request", "url"), part, problems)
    _lint_headers(model, problems)
    _warn_of_url(model, problems)
    if model.trigger.changes is None:
        _warn_of_before(("trigger", "where"), model.trigger.where, problems)
        for name in ("url", "query", "headers", "body"):
            _warn_of_before(("request", name), getattr(model.request, name), problems)
    for path, used in receiver_texts(model):
        _lint_receiver(path, used, problems, secrets)
    retry = model.delivery.retry
    if retry.max_age_secs < retry.min_delay_secs and retry.max_attempts != 1:
        told = "`max_age` is shorter than `min_delay`: most of what fails is never tried again"
        hint = "raise `max_age`; for no retries write `max_attempts: 1`"
        problems.warn(("delivery", "retry", "max_age"), "no-retry", told, hint=hint)
    _warn_of_templates(model.vars, problems)
    check_defaults(model, problems)
    if secrets is not None:
        _check_signing_secrets(model, problems, secrets)
        _check_files(model, problems, secrets)
        check_sendable(model, problems, secrets, _networks(text.defaults.network_allow))


def _lint_headers(model: WebhookFile, problems: Problems) -> None:
    for name, value in model.request.headers.items():
        at = ("request", "headers", name)
        _check_dollar(at, value, problems)
        if value.strip() and "{" not in value and _SECRET_HEADER.fullmatch(name):
            _warn_of_secret(at, problems)
        if name.lower() == "content-type" and model.request.method not in BODILESS:
            _warn_of_content_type(at, value, model.request.encoding, problems)
        if name.lower() == "content-encoding" and value.strip().lower() != "identity":
            message, hint = "no body is compressed: a receiver would try to unpack it", "leave the header out"
            problems.warn(at, "content-encoding", message, hint=hint)


def _lint_receiver(path: KeyPath, text: str, problems: Problems, secrets: Secrets | None) -> None:
    """Check a text of `auth`, `signature`, `ca` or `proxy`, which is expanded when a request is sent."""
    _check_dollar(path, text, problems)
    _check_placeholders(path, text, problems, secrets)
    if "{{" in text:
        message = "no template can stand here: it would be sent as it is written"
        hint = "secrets are `${NAME}`; what differs by event goes into `headers`, `query` or the body"
        problems.refuse(path, "no-template", message, hint=hint)
    elif text and "${" not in text and (path[-1] in _SECRETS or "secrets" in path):
        _warn_of_secret(path, problems)


def _warn_of_secret(path: KeyPath, problems: Problems) -> None:
    told = f"a secret stands in the file (`{'.'.join(map(str, path))}`)"
    problems.warn(path, "plain-secret", told, hint="put it into the environment and write ${NAME}")


def _warn_of_url(model: WebhookFile, problems: Problems) -> None:
    """Warn of a token that stands in the URL or the query as it is."""
    url, query = model.request.url, model.request.query
    if _SECRET_URL.match(url) or any(map(_SECRET_PARAMETER.fullmatch, _PARAMETER.findall(url))):
        _warn_of_secret(("request", "url"), problems)
    for name, value in query.items():
        if isinstance(value, str) and value and "{" not in value and _SECRET_PARAMETER.fullmatch(name):
            _warn_of_secret(("request", "query", name), problems)


def _warn_of_content_type(path: KeyPath, value: str, encoding: str, problems: Problems) -> None:
    """Warn where the header says what the body is not: a receiver could not read it."""
    media = value.partition(";")[0].strip().lower()
    is_form = media == "application/x-www-form-urlencoded"
    meant = "json" if media.endswith(("/json", "+json")) else "form" if is_form else "text"
    if media == "multipart/form-data" and encoding != "text":
        hint = "no multipart body can be sent: `encoding: form` sends application/x-www-form-urlencoded"
    elif (encoding, meant) in (("json", "form"), ("form", "json")) or (
        encoding == "json" and media.endswith(("/xml", "+xml", "/csv"))
    ):
        hint = f"write `encoding: {meant}`, or leave the header out"
    else:
        return
    message = f"the body is sent as {encoding}, and the header says {media}"
    problems.warn(path, "content-type", message, hint=hint)


def _warn_of_before(path: KeyPath, value: Any, problems: Problems) -> None:
    """Warn of `user.before` in a webhook that property changes do not fire: nothing ever sets it."""
    if isinstance(value, dict):
        for key, inside in value.items():
            if _BEFORE.match(str(key)):
                _warn_unset((*path, key), problems, on_key=True)
            _warn_of_before((*path, key), inside, problems)
    elif isinstance(value, list):
        for index, inside in enumerate(value):
            _warn_of_before((*path, index), inside, problems)
    elif isinstance(value, str) and (_BEFORE if path[-1] == "path" else _READS_BEFORE).search(value):
        _warn_unset(path, problems)


def _warn_unset(path: KeyPath, problems: Problems, *, on_key: bool = False) -> None:
    message = "`user.before` is always missing here: only updates have it, in webhooks with `changes`"
    problems.warn(path, "never-set", message, hint="fire on `changes: [...]`, or leave it out", on_key=on_key)


def _warn_of_templates(vars: Value, problems: Problems) -> None:
    """Warn of templates in vars: they are used literally."""
    hint = "write the template where the value is used"
    for path, value in leaves(vars, ("vars",)):
        if isinstance(value, str) and "{{" in value:
            message = "vars hold values: a template in them is no template"
            problems.warn(path, "no-template", message, hint=hint)


def _check_dollar(path: KeyPath, text: str, problems: Problems) -> None:
    """Warn of a shell variable: it would be sent literally."""
    found = _SHELL.fullmatch(text)
    if found is not None:
        name = found[1] or found[2]
        problems.warn(
            path,
            "looks-like-variable",
            f"`{found[0].split()[-1]}` is sent as it is written",
            hint=f"write `${{{name}}}` if the variable is meant",
        )


def _check_placeholders(path: KeyPath, text: str, problems: Problems, secrets: Secrets | None) -> None:
    for ref in sound_refs(path, text, problems) or []:
        if secrets is not None and not secrets.known(ref):
            message, hint = without_value(ref)
            at = max(0, text.find("${" + ref.source + "}"))
            problems.error(path, "missing-secret", message, hint=hint, offset=at, length=len(ref.source) + 3)


def _check_signing_secrets(model: WebhookFile, problems: Problems, secrets: Secrets) -> None:
    signature = model.request.signature
    if signature is None:
        return
    if signature.hmac is not None:
        _check_hmac(signature.hmac, problems.at("request", "signature", "hmac"), secrets)
    if signature.standard_webhooks is None:
        return
    for index, text in enumerate(signature.standard_webhooks.secrets):
        value = expanded(text, secrets)
        if value is None:
            continue
        at = ("request", "signature", "standard_webhooks", "secrets", index)
        if value.strip() in ("", "whsec_"):
            problems.refuse(at, "wrong-secret", _ANYBODY, hint=_MAKE_ONE)
            continue
        try:
            StandardSigner([value])
        except SecretError as error:
            problems.error(at, "wrong-secret", str(error), hint=_MAKE_ONE)


def _check_hmac(signature: HmacSignature, problems: Problems, secrets: Secrets) -> None:
    for word in _BRACED.findall(_PLACEHOLDER.sub("", signature.prefix)):
        if word not in ("{timestamp}", "{id}"):
            hint = "`{timestamp}` and `{id}` are filled in"
            problems.warn(("prefix",), "looks-like-template", f"`{word}` is sent as it is written", hint=hint)
    secret = expanded(signature.secret, secrets)
    if secret is None:
        return
    if secret.strip() in ("", "whsec_"):
        problems.refuse(("secret",), "wrong-secret", _ANYBODY, hint=_MAKE_ONE)
        return
    try:
        hmac_key(secret, signature.secret_encoding)
    except SecretError as error:
        problems.error(("secret",), "wrong-secret", str(error))


def _check_files(model: WebhookFile, problems: Problems, secrets: Secrets) -> None:
    request = model.request
    named: list[tuple[KeyPath, str | None]] = [(("request", "ca"), request.ca)]
    if request.auth is not None and request.auth.mtls is not None:
        at = ("request", "auth", "mtls")
        named += [((*at, "cert"), request.auth.mtls.cert), ((*at, "key"), request.auth.mtls.key)]
    found: dict[str, str] = {}
    for path, text in named:
        value = expanded(text, secrets) if text is not None else None
        if value is None:
            continue
        place = secrets.place(value)
        if os.path.isfile(place):
            found[str(path[-1])] = place
        else:
            looked = "looked for it beside the file that names it, and in the config directory"
            hint = None if os.path.isabs(value) else looked
            problems.error(path, "missing-file", f"there is no file `{text}`", hint=hint)
    if found and len(found) == sum(text is not None for _, text in named):
        files = (found.get("ca"), found.get("cert"), found.get("key"))
        wrong = _fault_of(*files, tuple(sign_of(os.stat(each)) for each in files if each is not None))
        if wrong is not None:
            field, told = wrong
            problems.refuse(next(path for path, _ in named if path[-1] == field), "wrong-certificate", told)


@lru_cache(maxsize=64)
def _fault_of(
    ca: str | None, cert: str | None, key: str | None, signs: tuple[Sign, ...]
) -> tuple[str, str] | None:
    """Return which file cannot be used, by its field, and why. signs: of the files, for the cache."""
    # Imported late: few webhooks name such files.
    from pipeline.deliver.http.tls import CertificateError, build_context

    try:
        build_context(ca, cert, key)
    except CertificateError as error:
        return error.field, str(error)
    except OSError as error:  # it may be unreadable
        return "ca" if ca is not None else "cert", str(error)
    return None


@lru_cache(maxsize=4)
def _networks(allow: tuple[str, ...]) -> tuple[Network, ...]:
    """Return the networks that the config allows; the same for all of its webhooks."""
    return parse_allow(allow)


def _check_address(path: KeyPath, url: str, text: ConfigText, problems: Problems, *, strict: bool) -> None:
    """Report why the host should not be dialled. strict: also where it is not a host name."""
    origin = _origin(url, among(text.settings))
    if origin is None:
        return  # the request's compiler reports why
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
        if host:
            host = to_ascii(host)
    except HostError as error:
        if strict and not any(problem.path == problems.prefix + path for problem in problems.found):
            hint = "a setting is written `${NAME}`" if "$" in origin else None
            problems.error(path, "wrong-host", f"this is no host name: {error}", hint=hint)
        return
    except ValueError:
        return
    allow = _networks(text.defaults.network_allow)
    if refuse_literal(path, host, allow, problems):
        return
    if parts.scheme == "http" and check_url_literal(host) is None:
        problems.warn(path, "no-tls", f"requests to `{host}` travel unencrypted", hint="use https://")
    # Webhook URLs of chats and automations are secret; a base URL that a path follows is none.
    if path == ("request", "url") and "/" in parts.path.strip("/") and url == "".join(map(str, refs_in(url))):
        message = f"the whole URL is the plain setting {url}: its path is stored and shown"
        server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        hint = f"if the path is secret, put that alone into it: {server}/{url}"
        problems.warn(path, "secret-path", message, hint=hint)


def _origin(url: str, lookup: Lookup) -> str | None:
    try:
        before = parse_placeholders(url[: origin_end(url)])
    except PlaceholderError:
        return None
    texts = [lookup(part) if isinstance(part, SecretRef) else part for part in before]
    return None if None in texts else "".join(map(str, texts))
