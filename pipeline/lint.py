"""What a config says although it probably should not: addresses that are refused, secrets in plain sight."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from pipeline.config.diagnostics import KeyPath, Problems
from pipeline.config.files import ConfigText
from pipeline.config.models import WebhookFile
from pipeline.config.placeholders import Settings
from pipeline.config.secrets import PlaceholderError, SecretRef, origin_end, parse_placeholders
from pipeline.deliver.guard import check_url_literal, parse_allow


def lint_webhook(model: WebhookFile, text: ConfigText, problems: Problems) -> None:
    """Add what was found in one webhook file that its model and compilers accept."""
    _check_address(("request", "url"), model.request.url, text, problems)
    auth = model.request.auth
    if auth is not None and auth.oauth2 is not None:
        place: KeyPath = ("request", "auth", "oauth2", "token_url")
        _check_address(place, auth.oauth2.token_url, text, problems)
    for path, value in _secret_values(model):
        if value and "${" not in value:
            problems.warn(
                path,
                "plain-secret",
                f"a secret stands in the file (`{_dotted(path)}`)",
                hint="put it into the environment and write ${NAME}",
            )


def _check_address(path: KeyPath, url: str, text: ConfigText, problems: Problems) -> None:
    origin = _origin(url, Settings(text.settings))
    if origin is None:
        return  # the request's compiler says why
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
    except ValueError:
        return
    allow = parse_allow(text.defaults.network_allow)
    why = check_url_literal(host, allow)
    if why is not None:
        problems.error(
            path,
            "refused-address",
            f"`{host}` will not be dialled: {why}",
            hint="open it with `network: {allow: [..]}` in pipeline.yaml if that is meant",
        )
    elif parts.scheme == "http" and check_url_literal(host) is None:
        problems.warn(path, "no-tls", f"requests to `{host}` travel unencrypted", hint="use https://")


def _origin(url: str, settings: Settings) -> str | None:
    try:
        before = parse_placeholders(url[: origin_end(url)])
    except PlaceholderError:
        return None
    if any(isinstance(part, SecretRef) and not settings.known(part) for part in before):
        return None
    return "".join(settings.resolve(part) if isinstance(part, SecretRef) else part for part in before)


def _secret_values(model: WebhookFile) -> Iterator[tuple[KeyPath, str | None]]:
    auth, signature = model.request.auth, model.request.signature
    if auth is not None:
        at = ("request", "auth")
        if auth.basic is not None:
            yield (*at, "basic", "password"), auth.basic.password
        if auth.bearer is not None:
            yield (*at, "bearer", "token"), auth.bearer.token
        if auth.header is not None:
            yield (*at, "header", "value"), auth.header.value
        if auth.oauth2 is not None:
            yield (*at, "oauth2", "client_secret"), auth.oauth2.client_secret
            yield (*at, "oauth2", "refresh_token"), auth.oauth2.refresh_token
    if signature is not None:
        at = ("request", "signature")
        if signature.hmac is not None:
            yield (*at, "hmac", "secret"), signature.hmac.secret
        if signature.standard_webhooks is not None:
            for index, secret in enumerate(signature.standard_webhooks.secrets):
                yield (*at, "standard_webhooks", "secrets", index), secret


def _dotted(path: KeyPath) -> str:
    return ".".join(str(part) for part in path)
