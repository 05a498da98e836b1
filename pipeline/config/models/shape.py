"""The model of a shape file: how custom records are read (LANGUAGE 9)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, model_validator

from pipeline.config.models.field_types import Conditions, Section, WebhookId, list_of, problem

Source = Annotated[Any, WithJsonSchema({"title": "path or form"})]
"""A path, a list of them, or a form: checked by the compiler of shapes (decode/mapped)."""
Time = Annotated[Any, WithJsonSchema({"title": "time"})]
Object = Annotated[Any, WithJsonSchema({"title": "object"})]


class Part(Section):
    """What every part of an entry may say."""

    each: str | None = Field(
        default=None,
        description="One record for each element; paths start at the element then, `^` is what holds it.",
        examples=["lines[*]", "sessions[*].hits[*]"],
    )
    when: Conditions = Field(
        default=None, description="Conditions on the record, with `each` on the element."
    )
    time: Time = Field(
        default=None,
        description="A path, or {path, unit: s|ms|us|ns}, or {path, format, zone}.",
        examples=[{"path": "ts", "unit": "ms"}],
    )
    source: Source = Field(default=None, description="Where the record came from, e.g. `web`.")


class EventPart(Part):
    """An event: a name and one of the two ids are required."""

    name: Source = Field(description="The event's name.", examples=["type"])
    kind: Source = Field(default=None, description="track (the default), page, screen, ...")
    user_id: Source = Field(
        default=None, description="The user's id.", examples=[["actor.id", "customer_id"]]
    )
    anonymous_id: Source = Field(default=None, description="The id of somebody who is not known yet.")
    id: Source = Field(default=None, description="The event's own id: two with the same id are one.")
    received_at: Time = Field(default=None, description="When it arrived; by default the broker's time.")
    properties: Object = Field(
        default=None,
        description='An object: a path, a map of name to path, or "*": the fields that no path of the entry '
        "begins with.",
        examples=["payload"],
    )
    context: Object = Field(default=None, description="As `properties`.", examples=[{"ip": "meta.ip"}])

    @model_validator(mode="after")
    def _somebody(self) -> EventPart:
        if self.user_id is None and self.anonymous_id is None:
            raise problem("missing-field", "an event needs `user_id`, `anonymous_id` or both")
        return self


class UserPart(Part):
    """A change of what is known about a user."""

    user_id: Source = Field(default=None, description="The user's id.", examples=["id"])
    anonymous_id: Source = Field(default=None, description="Instead of it: an anonymous id.")
    id: Source = Field(default=None, description="The record's own id.")
    set: Object = Field(default=None, description="Properties that overwrite.", examples=["attributes"])
    set_once: Object = Field(default=None, description="Properties that only fill what is missing.")
    unset: Source = Field(
        default=None, description="What is removed: a name, a list of names, or an object's keys."
    )
    delete: Source = Field(
        default=None,
        description="Forgets the user: true, or whatever is there where `when` has decided.",
        examples=["gone"],
    )

    @model_validator(mode="after")
    def _somebody(self) -> UserPart:
        if self.user_id is None and self.anonymous_id is None:
            raise problem("missing-field", "a user needs `user_id` (or `anonymous_id`)")
        return self


class LinkPart(Part):
    """From here on the anonymous id is the user."""

    anonymous_id: Source = Field(description="The id that was used before.", examples=["device.id"])
    user_id: Source = Field(description="The user's id.", examples=["actor.id"])


Events = Annotated[list[EventPart], list_of(EventPart)]
Users = Annotated[list[UserPart], list_of(UserPart)]
Links = Annotated[list[LinkPart], list_of(LinkPart)]


class ShapeEntry(Section):
    """One kind of record; the first entry that fits reads the record."""

    when: Conditions = Field(
        default=None,
        description="Conditions on the record; paths start at it.",
        examples=[[{"kind": "order"}]],
    )
    event: Events = Field(default_factory=list, description="An event, or a list of them.")
    user: Users = Field(default_factory=list, description="An update of a user, or a list of them.")
    link: Links = Field(default_factory=list, description="A link of two ids, or a list of them.")
    ignore: Literal[True] | None = Field(default=None, description="Counted, not kept.")

    @model_validator(mode="after")
    def _something(self) -> ShapeEntry:
        parts = bool(self.event or self.user or self.link)
        if not parts and not self.ignore:
            raise problem("missing-field", "an entry needs `event`, `user`, `link` or `ignore: true`")
        if parts and self.ignore:
            raise problem("one-of", "`ignore` stands alone: nothing of such a record is kept")
        return self


class InlineShape(Section):
    """A shape inside of pipeline.yaml."""

    records: Annotated[list[ShapeEntry], list_of(ShapeEntry)] = Field(
        min_length=1, description="The first entry that fits reads the record."
    )
    description: str | None = Field(default=None, description="For people.")
    name: WebhookId | None = Field(
        default=None,
        description="Used as `format: NAME`; by default the file's name.",
        examples=["shop"],
    )


class ShapeFile(InlineShape):
    """How records in your own format are decoded."""
