"""Where placeholders of webhook and label files are plain settings, and where they are secrets."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.language.secrets import PlaceholderError, SecretRef, origin_refs, parse_placeholders
from pipeline.model.json import Value

_SECRET_PLACES = (("request",), ("delivery", "proxy"), ("delivery", "batch", "wrap"), ("description",))
"""Placeholders here are secrets (or prose), put in when a request is sent."""

SETTING = "setting"
"""``{setting: "${X}"}`` is the value of a plain setting, where a bare placeholder is none."""


def is_setting(path: KeyPath) -> bool:
    """Return whether a placeholder at this place of a webhook file is a plain setting."""
    return not any(path[: len(place)] == place for place in _SECRET_PLACES)


def is_var(path: KeyPath) -> bool:
    """Return whether a placeholder at this place of a webhook file is a secret that templates name."""
    return path[:1] == ("vars",)


def named_setting(value: Value) -> str | None:
    """Return the text of ``{setting: "${X}"}``; None where the value is not that."""
    if isinstance(value, dict) and len(value) == 1:
        text = value.get(SETTING)
        if isinstance(text, str) and "${" in text:
            return text
    return None


def setting_refs(value: Value, *, is_webhook: bool) -> Iterator[SecretRef]:
    """Yield the placeholders of a file that are plain settings: outside `request`, and its URL's origin."""
    if isinstance(value, dict) and is_webhook:
        request = value.get("request")
        if isinstance(request, dict) and isinstance(request.get("url"), str):
            yield from origin_refs(request["url"])
    for path, text, named in _texts(value, ()):
        if "${" in text and (not is_webhook or (is_setting(path) and (named or not is_var(path)))):
            try:
                yield from (part for part in parse_placeholders(text) if isinstance(part, SecretRef))
            except PlaceholderError:
                continue  # compiling reports it with its place


def _texts(value: Value, path: KeyPath) -> Iterator[tuple[KeyPath, str, bool]]:
    """Yield each text with its place, and whether it is that of a ``{setting: ..}``."""
    if isinstance(value, str):
        yield path, value, False
    elif (text := named_setting(value)) is not None:
        yield path, text, True
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, index))
