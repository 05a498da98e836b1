"""The single-text fields of a form, and the place of each in the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from pipeline.config.edit.values import ABSENT, value_at
from pipeline.config.edit.writing import Writer
from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.console.forms.fields.constants import comes_back, meant, meant_list, normal, shown, shown_list
from pipeline.model.json import Value


class Field(NamedTuple):
    """One field."""

    name: str
    path: KeyPath
    kind: Literal["text", "lines", "flag", "constant", "names"] = "text"
    """lines: a text of several lines; flag: "on" or ""; constant: a number or text; names: a list of them."""
    default: str = ""
    """What is meant where the file says nothing."""
    stays: bool = False
    """Whether its key stays in the file when the field is emptied."""
    choices: tuple[str, ...] = ()


AUTH: Final[Mapping[str, Mapping[str, str]]] = {
    "basic": {"username": "User name", "password": "Password"},
    "bearer": {"token": "Token"},
    "header": {"name": "Name of the header", "value": "Secret"},
    "oauth2": {
        "token_url": "Token URL",
        "client_id": "Client id",
        "client_secret": "Client secret",
        "scope": "Scope",
        "audience": "Audience",
        "resource": "Resource",
        "refresh_token": "Refresh token",
    },
}
"""The fields of each kind of authentication, with their labels."""
HMAC: Final[Mapping[str, str]] = {
    "header": "Header of the signature",
    "secret": "Signing secret",
    "secret_encoding": "Secret written as",
    "algorithm": "Algorithm",
    "encoding": "Encoding",
    "prefix": "Prefix",
    "signed": "What is signed",
    "timestamp_header": "Header of the time",
}
METHODS: Final = ("POST", "PUT", "PATCH", "GET", "DELETE")

FIELDS: Final[tuple[Field, ...]] = (
    Field("id", ("id",), stays=True),
    Field("description", ("description",), "lines"),
    Field("enabled", ("enabled",), "flag", "on"),
    Field("url", ("request", "url"), stays=True),
    Field("method", ("request", "method"), default="POST", stays=True, choices=METHODS),
    Field("events", ("trigger", "events"), "names"),
    Field("changes", ("trigger", "changes"), "names"),
    Field("limit-count", ("limit", "count"), "constant"),
    Field("limit-every", ("limit", "every"), "constant"),
    *(
        Field(f"auth-{kind}-{name}", ("request", "auth", kind, name))
        for kind, names in AUTH.items()
        for name in names
    ),
    Field("signature-standard-secrets", ("request", "signature", "standard_webhooks", "secrets"), "names"),
    *(Field(f"signature-hmac-{name}", ("request", "signature", "hmac", name)) for name in HMAC),
)
BY_NAME: Final[Mapping[str, Field]] = {field.name: field for field in FIELDS}


def text_at(field: Field, data: Value) -> str | None:
    """Return what a field shows of a file; None where it cannot hold what stands there."""
    value = value_at(data, field.path)
    if value is ABSENT:
        return field.default if _reachable(field.path, data) else None
    if field.kind == "flag":
        return ("on" if value else "") if isinstance(value, bool) else None
    if value is None:
        return field.default
    if field.kind == "names":
        names = [value] if isinstance(value, str) else value
        fits = isinstance(names, list) and all(isinstance(one, str) for one in names)
        return shown_list(names, names=True) if fits else None
    if field.kind == "constant":
        return shown(value) if isinstance(value, (str, int, float)) else None
    if not isinstance(value, str) or not comes_back(value, lines=field.kind == "lines"):
        return None
    return value if not field.choices or value in field.choices else None


def _reachable(path: KeyPath, data: Value) -> bool:
    """Return whether maps lead to where a value would stand, or could be made."""
    for step in path[:-1]:
        if not isinstance(data, dict):
            return False
        data = data.get(str(step), {})
        if data is None:
            return True
    return isinstance(data, dict)


def value_of(field: Field, text: str, before: Value) -> Value:
    """Return what stands in the file for a field's text; ABSENT: nothing. Raises ValueError.

    before: what stands there: one name that was no list stays none.
    """
    if field.kind == "flag":
        return bool(text)
    text = normal(text)
    if not text.strip() and not field.stays:
        return ABSENT
    if field.kind == "lines":
        return text
    if field.kind == "constant":
        return meant(text)
    if field.kind == "names":
        names = meant_list(text, names=True)
        if names == ["*"] or (len(names) == 1 and isinstance(before, str)):
            return names[0]
        return names
    return text.strip()


def written(value: Value) -> str:
    """Return any value on one line of YAML, for the eye."""
    return Writer(None, "").inline(value)
