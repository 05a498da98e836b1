"""The fields of a webhook's form: single texts, and rows of headers, body and conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple, TypeAlias

from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.console.forms.fields.trees import Node

LOCKED: Final = "locked"
CONSTANT: Final = "constant"
OBJECT: Final = "object"
LIST: Final = "list"
EVENT: Final = "event"
USER: Final = "user"
TEMPLATE: Final = "template"
KINDS: Final[Mapping[str, str]] = {
    CONSTANT: "Constant",
    OBJECT: "Object",
    LIST: "List",
    EVENT: "Event property",
    USER: "User property",
    TEMPLATE: "Template",
}
"""What a value of a body is, in the words of the page."""
BODIES: Final[Mapping[str, str]] = {
    "default": "Event and user, as they are",
    OBJECT: "Object",
    LIST: "List",
    "text": "One value",
}
"""What a whole body is. A file without a body sends the event and the user."""

Table: TypeAlias = Literal["header", "body", "where"]
TABLES: Final[tuple[Table, ...]] = ("header", "body", "where")


@dataclass(slots=True, frozen=True)
class FormRow:
    """One header, value of the body or condition, as a person reads and types it."""

    key: str = ""
    """Name of a header, key of a value, path of a condition."""
    kind: str = CONSTANT
    """Kind of a value, operator of a condition; LOCKED: it is shown, and edited in the YAML."""
    value: str = ""
    depth: int = 0
    """Of the body: in how many objects and lists it stands."""
    keyed: bool = True
    """False: an element of a list."""
    at: int | None = None
    """Its row in the form of the text that the page was made from; None: it is new."""
    node: Node | None = None
    """Of a row that was read: its value."""
    is_moved: bool = False
    """True: it has just changed places, and keeps the focus of who moves it on."""

    @property
    def is_locked(self) -> bool:
        """Whether the form shows it only."""
        return self.kind == LOCKED

    @property
    def is_blank(self) -> bool:
        """Whether it is new and nobody has typed anything."""
        return self.at is None and not self.key and not self.value and self.kind not in (OBJECT, LIST)


class Other(NamedTuple):
    """A part of the file that the form has no field for."""

    path: KeyPath
    text: str


class FieldError(NamedTuple):
    """What is wrong with one field of the form."""

    field: str
    """``url``, ``body-3-key``."""
    message: str


@dataclass(slots=True, frozen=True)
class WebhookForm:
    """A webhook as a form."""

    fields: Mapping[str, str]
    """The text of each field of `scalars.FIELDS`; "" where the file says nothing."""
    headers: tuple[FormRow, ...] = ()
    body_kind: str = "default"
    """A key of BODIES, or LOCKED."""
    body: tuple[FormRow, ...] = ()
    conditions: tuple[FormRow, ...] = ()
    locked: Mapping[str, str] = field(default_factory=dict)
    """Fields that the form shows only, with what is written there."""
    others: tuple[Other, ...] = ()
    roots: Mapping[Table, Node | None] = field(default_factory=dict)
    """Of a form that was read: the headers, body and conditions of its file."""

    def rows(self, table: Table) -> tuple[FormRow, ...]:
        """Return the rows of one part."""
        return {"header": self.headers, "body": self.body, "where": self.conditions}[table]


def with_rows(form: WebhookForm, table: Table, rows: Sequence[FormRow]) -> WebhookForm:
    """Return a form with other rows in one part."""
    match table:
        case "header":
            return replace(form, headers=tuple(rows))
        case "body":
            return replace(form, body=tuple(rows))
        case "where":
            return replace(form, conditions=tuple(rows))
