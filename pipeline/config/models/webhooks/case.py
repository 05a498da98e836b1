"""The model of a config test (`*.test.yaml`): given users and events, expected requests."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from pipeline.config.models.field_types import Section, problem


class GivenUser(Section):
    """A user as known before the events."""

    id: str | None = Field(default=None, description="User id.", examples=["u1"])
    anonymous_id: str | None = Field(default=None, description="Instead of `id`: an anonymous id.")
    properties: dict[str, Any] = Field(default_factory=dict, description="What is known about the user.")

    @model_validator(mode="after")
    def _one_id(self) -> GivenUser:
        if (self.id is None) == (self.anonymous_id is None):
            raise problem("missing-field", "a user has either `id` or `anonymous_id`")
        return self


class ExpectedRequest(Section):
    """A request that must be made, or the dead letter in its place."""

    method: str | None = Field(default=None, description="HTTP method.")
    url: str | None = Field(
        default=None, description="The whole URL; a secret is `${NAME}`, in the query `%24%7BNAME%7D`."
    )
    headers: dict[str, str] = Field(default_factory=dict, description="Headers that must be there.")
    body: Any = Field(
        default=None,
        description="The body: of maps the keys given (all with `exact`), lists as a whole. For a batch with "
        "`wrap`, that of a batch of one.",
    )
    dead_letter: str | None = Field(
        default=None, description="Instead: the rendering fails, with this text in its reason."
    )


def _expected(value: object) -> object:
    if value == "none":
        return []
    return [value] if isinstance(value, dict) else value


Expected = Annotated[
    list[ExpectedRequest],
    BeforeValidator(
        _expected, json_schema_input_type=ExpectedRequest | list[ExpectedRequest] | Literal["none"]
    ),
]


class Case(Section):
    """One test: given these users, these events make these requests, in this order."""

    name: str = Field(min_length=1, description="What must hold, as a sentence.")
    users: list[GivenUser] = Field(default_factory=list, description="Users known before.")
    events: list[dict[str, Any]] = Field(
        min_length=1,
        description="Records in Hookline's own shape, in order; `type: event` and the only user's id may be "
        "left out. `{type: user, set: {..}}` changes properties.",
        examples=[[{"name": "Purchase", "properties": {"amount": 600}}]],
    )
    expect: Expected = Field(description="The requests, or `none`.", examples=["none"])
    exact: bool = Field(default=False, description="Bodies contain nothing else.")


class ShapeCase(Section):
    """One test of a shape: these lines give these records, in this order."""

    name: str = Field(min_length=1, description="What must hold, as a sentence.")
    lines: list[Any] = Field(
        min_length=1,
        description="Records as JSON, or texts of lines; a line of `hookline record` is a message with its "
        "key and headers.",
    )
    expect: list[dict[str, Any]] = Field(
        description="The records out in Hookline's own form: the fields given (all with `exact`). "
        "`{dead_letter: TEXT}` for a line that cannot be read; what is ignored gives none.",
        examples=[[{"type": "event", "name": "Order Placed", "user_id": "u1"}]],
    )
    exact: bool = Field(default=False, description="Records contain nothing else.")


class ShapeCaseFile(Section):
    """Tests of a custom shape: `shop.test.yaml` beside `shop.yaml`."""

    lines: list[Any] = Field(default_factory=list, description="As in a case; for a file with one test.")
    expect: list[dict[str, Any]] | None = Field(default=None, description="As in a case.")
    exact: bool = Field(default=False, description="As in a case.")
    cases: list[ShapeCase] = Field(default_factory=list, description="Several tests.")

    @model_validator(mode="after")
    def _something(self) -> ShapeCaseFile:
        if (self.expect is None) != (not self.lines):
            raise problem("missing-field", "a test of a shape has `lines` and `expect`")
        if self.expect is None and not self.cases:
            raise problem("missing-field", "a test of a shape has `lines` and `expect`, or `cases`")
        return self


class CaseFile(Section):
    """Tests of one webhook: `big-purchase.test.yaml` beside `big-purchase.yaml`."""

    settings: dict[str, str] = Field(
        default_factory=dict, description="Values for the plain settings (`${NAME}`) of the webhook."
    )
    exclude: list[str] = Field(default_factory=list, description="Labels excluded, as in pipeline.yaml.")
    format: Literal["native", "auto"] = Field(
        default="native", description="Shape of `events`; `auto` takes every shape that a source can have."
    )
    cases: list[Case] = Field(min_length=1, description="The tests.")
