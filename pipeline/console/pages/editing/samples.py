"""Events that a webhook is tried on: what the job read a moment ago, its test cases, one that is made up, and
what a person pastes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.console.forms.fields.constants import meant_list
from pipeline.console.forms.fields.rows import WebhookForm
from pipeline.console.forms.proposals import made_up
from pipeline.console.render import pretty
from pipeline.model.json import Value
from pipeline.model.printable import one_line
from pipeline.operate.running.looks import Sample

_KINDS: Final = {
    "invalid": "Not understood",
    "delete": "Deletion of a user",
    "identify": "Link of two ids",
    "user": "Update of a user",
}
"""Records that are no events."""
SHOWN: Final = 40
"""Samples of the job in the list."""
MADE: Final = "made"
OWN: Final = "own"
AUTO: Final = "auto:"
"""Before the key of an event that nobody has chosen: another one takes its place once it does not fit."""
GONE: Final = "this sample is no longer available: here is another one"


@dataclass(slots=True, frozen=True)
class ChosenSample:
    """The event that the preview shows."""

    key: str
    record: str
    """JSON, as a person may edit it."""
    user: str = ""
    """Properties of the user as JSON; "": those that the job knows."""
    choices: tuple[tuple[str, str], ...] = ()
    """All that can be chosen: key and words."""


def choose(
    form: WebhookForm,
    text: str,
    seen: Sequence[Sample],
    cases: Sequence[Sample],
    *,
    key: str,
    record: str,
    user: str,
) -> ChosenSample:
    """Return the event to try, and all there are. key, record, user: as the page sent them; "": at first.

    seen: what the job read, cases: those of the webhook's tests. Until a person chooses it is the newest one
    that the trigger names, else a case, else one that is made up.
    """
    names = form.fields["events"] if form.fields["trigger"] == "events" else ""
    wanted = set(meant_list(names, names=True))
    fitting = [one for one in seen if _fits(one, wanted, form.fields["trigger"])][:SHOWN]
    others = [one for one in seen if one not in fitting][: SHOWN - len(fitting)]
    listed = [*fitting, *others, *cases]
    choices = [(one.id, _words(one)) for one in listed]
    choices += [(MADE, "Made up from the form"), (OWN, "JSON of my own")]
    if key == OWN:
        return ChosenSample(OWN, record, user, tuple(choices))
    chosen, automatic = key.removeprefix(AUTO), key.startswith(AUTO)
    stays = {one.id for one in [*fitting, *cases]} if automatic else {MADE, *(one.id for one in listed)}
    if chosen not in stays:
        chosen = fitting[0].id if fitting else cases[0].id if cases else MADE
        key = AUTO + chosen
    choices = [(key if one == chosen else one, words) for one, words in choices]
    if chosen == MADE:
        event, properties = made_up(form, text)
        return ChosenSample(key, pretty(event), pretty(properties), tuple(choices))
    sample = next(one for one in listed if one.id == chosen)
    known = "" if sample.properties is None else pretty(sample.properties)
    return ChosenSample(key, pretty(_record(sample, wanted)), known, tuple(choices))


def _fits(sample: Sample, wanted: set[Value], trigger: str) -> bool:
    if trigger == "changes":
        return any("set" in one or "unset" in one for one in sample.records)
    return bool(sample.events) and ("*" in wanted or not wanted.isdisjoint(sample.events))


def _record(sample: Sample, wanted: set[Value]) -> Value:
    good = [one for one in sample.records if "invalid" not in one]
    named = [one for one in good if one.get("name") in wanted]
    return next(iter([*named, *good]), {})


def _kind(record: Value) -> str:
    return next((one for one in ("invalid", "delete") if one in record), record.get("type", "user"))


def _words(sample: Sample) -> str:
    if sample.id.startswith("case:"):
        return f"Test: {sample.id.removeprefix('case:')}"
    what = ", ".join(sample.events) or _KINDS.get(next(map(_kind, sample.records), "invalid"), "A record")
    return one_line(f"{what} · {sample.user or 'nobody'} · {sample.at[11:19]}")
