"""Building blocks of the models: sections, and field types such as durations, rates, sizes, ids.

A field's attribute carries its unit (``timeout_secs``), its name in the file is the alias (``timeout``). Each
type carries its JSON Schema and the name under which the reference lists it.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Annotated, Any, Final, TypeVar, cast, dataclass_transform

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic import ValidationInfo as Info
from pydantic.dataclasses import dataclass
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from pipeline.language import units

T = TypeVar("T")

# Deferred: only the models of whole files validate anything; building all takes twice as long.
_CONFIG: Final = ConfigDict(
    extra="forbid", strict=True, validate_by_name=True, validate_by_alias=True, defer_build=True
)


class Section(BaseModel):
    """A part of a config file: unknown fields are errors, nothing is converted silently."""

    model_config = ConfigDict(**_CONFIG, frozen=True)


@dataclass_transform(frozen_default=True, field_specifiers=(Field,))
def settings(cls: type[T]) -> type[T]:
    """Make a section that is read per delivery: a dataclass with slots, validated like any other section.

    An attribute of a `Section` takes four times as long (pydantic's models define ``__getattr__``: 100 ns
    instead of 25).
    """

    def from_map(source: Any, handler: Callable[[Any], Any]) -> Any:
        made = inner = handler(source)
        while inner["type"] != "dataclass":
            inner = inner["schema"]  # a validator around it
        inner["strict"] = False  # its fields stay strict; it is itself written as a map
        return made

    cls.__get_pydantic_core_schema__ = staticmethod(from_map)  # type: ignore[attr-defined]  # pydantic asks for it
    return cast("type[T]", dataclass(frozen=True, slots=True, config=_CONFIG)(cls))


def is_section(annotation: object) -> bool:
    """Return whether a type is that of a section."""
    return isinstance(annotation, type) and hasattr(annotation, "__pydantic_fields__")


def fields_of(section: type) -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield each field of a section: its name in the file, its attribute, and what is declared of it."""
    fields: dict[str, FieldInfo] = section.__pydantic_fields__  # type: ignore[attr-defined]  # see is_section
    for name, info in fields.items():
        yield str(info.validation_alias or name), name, info


def problem(code: str, message: str) -> PydanticCustomError:
    """Return the error that becomes this problem of the file."""
    # The message goes through a variable: braces in it must not be format fields.
    return PydanticCustomError(code, "{message}", {"message": message})


def checked(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Turn a converter's ValueError into a problem."""

    def validate(value: Any) -> Any:
        try:
            return convert(value)
        except ValueError as error:
            raise problem("wrong-value", str(error)) from None

    return validate


def only_one(**given: object) -> None:
    """Raise a problem where more than one of mutually exclusive fields is given."""
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        listed = " and ".join(f"`{name}`" for name in names)
        raise problem("one-of", f"{listed} exclude each other: keep one")


class Reading(Enum):
    """The validation context while a file's text is checked: amounts need their units there."""

    FILES = auto()
    """Files as they are now: all of today's rules apply."""
    STORED = auto()
    """A version from a state directory: rules added since then do not apply (see `newly`)."""


def _amount(parse: Callable[[object], float]) -> BeforeValidator:
    in_file = checked(parse)

    def convert(value: object, info: Info) -> Any:
        return value if info.context is None and type(value) in (int, float) else in_file(value)

    return BeforeValidator(convert)


def _ever(value: object) -> float | None:
    if value == "ever":
        return None
    try:
        return units.parse_duration(value)
    except ValueError as error:
        wish, colon, meant = str(error).partition(": ")
        if value in ("forever", "always", "never", "once", "lifetime"):
            colon, meant = ": ", "did you mean `ever`?"
        raise ValueError(f"{wish}, or `ever`{colon}{meant}") from None


_NAMES: Final = BeforeValidator(lambda value: [value] if isinstance(value, str) else value)


def list_of(kind: Any) -> BeforeValidator:
    """Return what lets a text or a map stand for a list of one."""
    return BeforeValidator(
        lambda value: [value] if isinstance(value, (str, dict)) else value,
        json_schema_input_type=kind | list[kind],
    )


ID_LENGTH: Final = 64
_ID = re.compile(rf"[A-Za-z0-9._-]{{1,{ID_LENGTH}}}")


def _id(value: object) -> str:
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    wish = "an id is 1 to 64 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(f'{wish}, as a text: quote it: "{value}"')
    close = _as_id(value) if isinstance(value, str) else ""
    raise ValueError(f"{wish}: did you mean `{close}`?" if close else wish)


def is_id(text: str) -> bool:
    """Return whether a text can be a webhook's id."""
    return _ID.fullmatch(text) is not None and any(map(str.isalnum, text))


_SPELT: Final = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "&": "-and-", "+": "-plus-"}
)


def _as_id(text: str) -> str:
    """Return the nearest id: `kaeufer-neu` for `Käufer (neu)`."""
    bare = unicodedata.normalize("NFKD", text.translate(_SPELT)).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._]+", "-", bare).strip("-._").lower()[:64].strip("-._")


def _named(text: str) -> None:
    if not any(map(str.isalnum, text)):
        raise ValueError(f"an id holds a letter or a digit: `{text}` names nothing")


def _schema(pattern: str, title: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "title": title, "examples": list(examples)})


Duration = Annotated[
    float,
    _amount(units.parse_duration),
    _schema(r"^(?=.*[1-9])[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$", "duration", "10s", "1.5h"),
]
"""Seconds, from ``500ms``, ``10s``, ``1.5h``, ``30d``."""

DurationOrZero = Annotated[
    float,
    _amount(units.parse_duration),
    _schema(r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$", "duration", "0s", "50ms"),
]
"""As `Duration`, where nothing at all has a meaning."""

DurationOrEver = Annotated[
    float | None,
    _amount(_ever),
    _schema(r"^((?=.*[1-9])[0-9]+(\.[0-9]+)?(ms|s|m|h|d)|ever)$", "duration or ever", "24h", "ever"),
]
"""Seconds, or None for ``ever``."""


def newly(check: Callable[[Any], Any]) -> AfterValidator:
    """Return a check that older versions did not make: its ValueError counts only where files are read."""

    def validate(value: Any, info: Info) -> Any:
        if info.context is Reading.FILES:
            checked(check)(value)
        return value

    return AfterValidator(validate)


def lasting(name: str, most: str = "36600d", *, zero: str = "") -> AfterValidator:
    """Return the check of a duration: positive, and not absurdly long.

    zero: what to write for none at all.
    """
    longest = units.parse_duration(most)

    def check(seconds: float | None) -> None:
        if seconds == 0:
            raise ValueError(f"`{name}` is longer than nothing" + (f": {zero}" if zero else ""))
        if seconds is not None and seconds > longest:
            raise ValueError(f"`{name}` is {most} at most")

    return newly(check)


def at_most(name: str, most: float, shown: str = "") -> AfterValidator:
    """Return the check of a number: not absurdly large. shown: how a file writes that number."""

    def check(value: float | None) -> None:
        if value is not None and value > most:
            raise ValueError(f"`{name}` is {shown or f'{most:,}'} at most")

    return newly(check)


def few(name: str, most: int, remedy: str = "") -> AfterValidator:
    """Return the check of a list whose entries each cost work for every event or request."""

    def check(values: list[Any] | dict[str, Any]) -> None:
        if len(values) > most:
            raise ValueError(f"`{name}` holds {len(values):,} entries: {most:,} are the most{remedy}")

    return newly(check)


def _meant(per_sec: float) -> None:
    if not 1 / (30 * 86_400) <= per_sec <= 1_000_000:
        raise ValueError("a rate is 1000000/s at most, and once in 30 days at least")


Rate = Annotated[
    float,
    _amount(units.parse_rate),
    newly(_meant),
    _schema(r"^(?=.*[1-9])[0-9]+(\.[0-9]+)?\s*/\s*[smhd]$", "rate", "100/s", "60/m"),
]
"""How many per second, from ``100/s``, ``60/m``."""

Size = Annotated[
    int,
    BeforeValidator(checked(units.parse_size)),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": r"^(?=.*[1-9])[0-9]+(\.[0-9]+)?\s*([KMG]i?)?B$"},
            ],
            "title": "size",
            "examples": [1000000, "1MB", "512KiB"],
        }
    ),
]
"""Bytes, from a whole number or ``1MB``, ``512KiB``."""

NamesOf = Annotated[
    list[T],
    _NAMES,
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "title": "name or list of names",
        }
    ),
]
"""As `Names`, of texts that are checked one by one: each that is wrong is told."""

Names = NamesOf[str]
"""One text or a list of texts; always a list afterwards."""

Paths = Annotated[
    list[str],
    _NAMES,
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
            "title": "path or list of paths",
        }
    ),
]
"""One path or a list of paths; always a list afterwards."""

WebhookId = Annotated[
    str,
    BeforeValidator(checked(_id)),
    newly(_named),
    _schema(r"^(?=.*[A-Za-z0-9])[A-Za-z0-9._-]{1,64}$", "id", "big-purchase-to-slack"),
]

Tree = Annotated[Any, WithJsonSchema({"title": "any value"})]
"""A value whose contents a compiler checks (conditions, bodies), not a model."""

_PARAMETER: Final[dict[str, Any]] = {"type": ["string", "number", "boolean", "null"]}
Parameter = Annotated[
    Any, WithJsonSchema({"anyOf": [_PARAMETER, {"type": "array", "items": _PARAMETER}], "title": "values"})
]
"""A value of the query, or a list of them; its compiler checks it."""

Conditions = Annotated[
    Any,
    WithJsonSchema(
        {
            "title": "condition",
            "anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}],
        }
    ),
]
"""A condition: a map or a list of maps."""


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        told = "it has bits set beyond the mask" if "host bits" in str(error) else "it is no CIDR"
        raise ValueError(
            f"`{text}` is not a network: {told} (write 127.0.0.0/8, 10.1.2.3/32, fd00::/8)"
        ) from None
    return text


Networks = Annotated[
    list[Annotated[str, AfterValidator(checked(_network))]],
    _NAMES,
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "title": "list of CIDR networks"}),
]
