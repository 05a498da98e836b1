"""The model of a label file: named definitions over raw events or users (LANGUAGE 7)."""

from __future__ import annotations

from pydantic import Field, model_validator

from pipeline.config.models.field_types import Conditions, Names, Section, Tree, problem


class Capture(Section):
    """Criteria over autocaptured events (Heap, PostHog); all that are given must hold."""

    kind: Names | None = Field(default=None, description="Kind of event.", examples=["click"])
    selector: str | None = Field(
        default=None,
        description="CSS selector over the element chain.",
        examples=["nav a.signup, #cta > button"],
    )
    text: Tree = Field(default=None, description="Text of the element: a text, or text operators.")
    href: Tree = Field(default=None, description="Link target: a text, or text operators.")
    path: Tree = Field(default=None, description="Page path: as `text`.", examples=[{"glob": "/p/**"}])
    url: Tree = Field(default=None, description="Page URL: a text, or text operators.")


class LabelEntry(Section):
    """One way to earn the label: names, captured events, or a condition; all that are given must hold."""

    events: Names | None = Field(default=None, description="Event names or other labels (no cycles).")
    where: Conditions = Field(default=None, description="Conditions; over `user.*` alone without `events`.")
    capture: Capture | None = Field(default=None, description="Autocaptured events.")

    @model_validator(mode="after")
    def _something(self) -> LabelEntry:
        if self.events is None and self.where is None and self.capture is None:
            raise problem("missing-field", "a label needs `events`, `capture` or `where`")
        return self


class LabelFile(Section):
    """A named definition over raw events or users."""

    name: str = Field(
        min_length=1,
        description="Used in `events:`, `{label: ...}` and `exclude:`.",
        examples=["Clicked Sign-up"],
    )
    description: str | None = Field(default=None, description="For people.")
    any_: list[LabelEntry] | None = Field(
        default=None, validation_alias="any", min_length=1, description="A union of entries."
    )
    events: Names | None = Field(default=None, description="Event names or other labels (no cycles).")
    where: Conditions = Field(default=None, description="Conditions; over `user.*` alone without `events`.")
    capture: Capture | None = Field(default=None, description="Autocaptured events.")

    @model_validator(mode="after")
    def _one_form(self) -> LabelFile:
        forms = {"events": self.events, "where": self.where, "capture": self.capture}
        single = [name for name, value in forms.items() if value is not None]
        if self.any_ is None and not single:
            raise problem("missing-field", "a label needs `events`, `capture`, `where` or `any`")
        if self.any_ is not None and single:
            raise problem("one-of", f"`any` stands alone: move `{single[0]}` into an entry of its list")
        return self
