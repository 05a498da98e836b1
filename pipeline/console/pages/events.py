"""The Events page: event names with their properties, labels, and users as they are known now."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from aiohttp import web

from pipeline.config.job import load_pipeline
from pipeline.console.context import Console, RequestContext
from pipeline.console.redaction import catalog_shown
from pipeline.console.render import data, page
from pipeline.job.event_names import OTHERS
from pipeline.model.errors import ConfigError, HooklineError, StateError
from pipeline.model.json import Value
from pipeline.operate.files.tree import ConfigFile
from pipeline.operate.kept.users import KnownUser, look_up
from pipeline.operate.running.looks import Sample, catalog, samples
from pipeline.operate.unsaved.results import Explanation, LabelSeen
from pipeline.outbox.reading.view import is_new

NAMES = 200
"""Names that one page shows; others are found by text."""
RECENT = 10
"""Samples of a user that are shown."""
LATELY = 12
"""Users who are offered where nobody is named."""


async def show(context: RequestContext) -> web.StreamResponse:
    """Return the names of events that were seen, the most frequent first."""
    seen, running = await _catalog(context)
    labels = await _labels(context)
    text = context.query.get("text", "").strip()
    events = {
        name: one for name, one in seen["events"].items() if not text or text.casefold() in name.casefold()
    }
    if context.wants_json:
        told = [{**one.to_json(), "used_by": [*used]} for one, used, _ in labels]
        return data({**seen, "events": events, "labels": told, "running": running})
    return await page(
        context,
        "events.html",
        running=running,
        # What has no name of its own comes last.
        events=dict(sorted(list(events.items())[:NAMES], key=lambda pair: pair[0] == OTHERS)),
        found=len(events),
        total=len(seen["events"]),
        user_properties=seen["user_properties"],
        labels=labels,
        labelled=_labelled(one for one, _, _ in labels),
        text=text,
    )


async def _labels(context: RequestContext) -> list[tuple[LabelSeen, tuple[str, ...], str]]:
    """Return each label with what it matches, the files that use it, and its own text; [] where the config
    cannot be read: the page Config says why.
    """
    console = context.console
    try:
        found = await context.run(console.workbench.labels, await context.run(console.looks.samples))
        files = {one.file: one for one in await context.run(_files, console)}
    except HooklineError:
        return []
    return [
        (one, files[one.file].used_by if one.file in files else (), console.tree.text(one.file) or "")
        for one in found
    ]


def _files(console: Console) -> list[ConfigFile]:
    loaded = load_pipeline(console.config).config
    return console.tree.files(exclude=() if loaded is None else loaded.defaults.exclude)


def _labelled(labels: Iterable[LabelSeen]) -> dict[str, list[str]]:
    """Return the labels that were matched by events of a name."""
    found: dict[str, list[str]] = {}
    for one in labels:
        for name in one.names:
            found.setdefault(name, []).append(one.name)
    return found


async def _catalog(context: RequestContext) -> tuple[dict[str, Value], bool]:
    """Return the catalogue, as who asks may see it, and whether a job runs."""
    try:
        seen = await context.run(catalog, context.console.state)
    except HooklineError:
        return {"events": {}, "user_properties": {}}, False
    return catalog_shown(context, seen), True


async def users(context: RequestContext) -> web.StreamResponse:
    """Return what is known of a user, and what an event of theirs would trigger."""
    id, event = context.query.get("id", "").strip(), context.query.get("event", "").strip()
    known: KnownUser | None = None
    state = context.console.state
    if id and not await context.run(is_new, state):
        try:
            known = await context.run(look_up, state, id)
        except StateError:
            if not await context.run(is_new, state):
                raise
    recent, names, others = await _samples(context, id)
    tried = await _tried(context, known, event, recent) if known is not None else None
    # Together: a clause says the value that it saw.
    shown = context.masked(
        {
            "user": None if known is None else known.to_json(),
            "record": None if tried is None else tried[0],
            "triggers": None if tried is None else explained(tried[1]),
        }
    )
    if context.wants_json:
        return data({"user": shown["user"], "triggers": shown["triggers"]})
    return await page(
        context,
        "user.html",
        id=id,
        event=event,
        user=shown["user"],
        recent=[_shown(context, one) for one in recent],
        names=names,
        others=others,
        tried=shown["triggers"],
        record=shown["record"],
    )


def explained(tried: Explanation) -> dict[str, Value]:
    """Return what an event of a user would trigger as data."""
    return {"problem": tried.problem, "webhooks": [one.to_json() for one in tried.verdicts]}


async def _samples(context: RequestContext, id: str) -> tuple[list[Sample], list[str], list[str]]:
    """Return the last samples of a user, the names of the events sampled, and whose they are."""
    try:
        found = await context.run(samples, context.console.state)
    except HooklineError:
        return [], [], []
    names = dict.fromkeys(name for one in found for name in one.events)
    users = dict.fromkeys(one.user for one in found if one.user)
    return [one for one in found if one.user == id][:RECENT], sorted(names), [*users][:LATELY]


async def _tried(
    context: RequestContext, user: KnownUser, event: str, recent: list[Sample]
) -> tuple[Value, Explanation] | None:
    """Return an event of the user, and what every webhook makes of it with what is known of them now.

    event: its name: that of a sample, which then is theirs; or JSON. "": their own last one.
    """
    record: dict[str, Value] | None = None
    if event.startswith("{"):
        try:
            record = orjson.loads(event)
        except ValueError:
            return event, Explanation("the event is not a JSON object")
    elif not event:
        record = next((one for sample in recent for one in sample.records if "name" in one), None)
    else:
        try:
            found = await context.run(samples, context.console.state, event=event, limit=1)
        except HooklineError:
            found = []
        record = next((one for sample in found for one in sample.records if one.get("name") == event), None)
        record = record or {"type": "event", "name": event, "properties": {}}
    if not isinstance(record, dict):
        return None
    who = {"user_id": user.user_id} if user.user_id is not None else {"anonymous_id": user.anonymous_id}
    theirs = {key: value for key, value in record.items() if key not in ("user_id", "anonymous_id")} | who
    text = orjson.dumps(theirs).decode()
    try:
        return theirs, await context.run(context.console.workbench.explain, text)
    except ConfigError as error:
        return theirs, Explanation(str(error))


def _shown(context: RequestContext, sample: Sample) -> dict[str, Value]:
    facts: dict[str, Value] = context.masked(sample.to_json())
    return facts
