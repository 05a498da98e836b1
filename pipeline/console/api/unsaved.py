"""Unsaved texts over the API: POST /api/v1/check, preview, would-fire and complete; the schemas."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from pipeline.console.api.body import (
    FLAG,
    JSON,
    NUMBER,
    TEXT,
    body,
    catalog_for,
    record_of,
    redacted,
    require_may_try,
    text_of,
)
from pipeline.console.context import RequestContext
from pipeline.console.redaction import may_advise
from pipeline.console.render import data
from pipeline.model.json import Value
from pipeline.operate.unsaved.complete.fields import KINDS, schema_of

_PAYLOADS: Final = ("event", "user", "clauses", "request", "dead_letter", "problem")


async def check(context: RequestContext) -> web.Response:
    """``{file, text}``: what `hookline check --json` would print with this text in the file's place."""
    given = await body(context, "file", file=TEXT, text=TEXT)
    bench = context.console.workbench
    checked = await context.tried(
        f"check {given['file']}",
        bench.check,
        given["file"],
        given["text"],
        may_edit=context.may("edit"),
    )
    return data(checked.to_json())


async def preview(context: RequestContext) -> web.Response:
    """``{file, text, record | sample, user, counts}``: each clause with what it saw, and the request.

    text: as on disk, if it is not given. record: a record as JSON, in any shape that the config reads;
    sample: the id of one of GET samples in its place. user: their properties; not given: as the job knows
    them now. counts: true for `would_fire` as well.
    """
    given = await body(
        context, "file", file=TEXT, text=TEXT, record=JSON, sample=TEXT, user=JSON, counts=FLAG
    )
    require_may_try(context, given["text"])
    bench, file = context.console.workbench, given["file"]
    text = await text_of(context, file, given["text"])
    record, user = await record_of(context, file, given)
    shown = await context.tried(
        f"preview {file}",
        bench.preview,
        file,
        text,
        record,
        user,
        may_edit=context.may("edit"),
    )
    whole = shown.to_json()
    told = redacted(context, whole, *_PAYLOADS)
    for clause, unveiled in zip(told["clauses"], whole["clauses"], strict=True):
        if not may_advise(unveiled.get("value"), clause.get("value")):
            clause.pop("advice", None)
    if given["counts"]:
        told["would_fire"] = await _fired(context, file, text)
    return data(told)


async def would_fire(context: RequestContext) -> web.Response:
    """``{file, text}``: on how many of the samples it fires, and did before the edit."""
    given = await body(context, "file", file=TEXT, text=TEXT)
    require_may_try(context, given["text"])
    file = given["file"]
    text = await text_of(context, file, given["text"])
    return data(await _fired(context, file, text))


async def _fired(context: RequestContext, file: str, text: str) -> dict[str, Value]:
    samples = await context.run(context.console.looks.samples)
    page, mine = f"would fire {file}", context.may("edit")
    would = context.console.workbench.would_fire
    return (await context.tried(page, would, file, text, samples, may_edit=mine)).to_json()


async def complete(context: RequestContext) -> web.Response:
    """``{file, text, line, column}``: what may stand at the cursor, counted from 1 in characters."""
    given = await body(
        context, "file", "text", "line", "column", file=TEXT, text=TEXT, line=NUMBER, column=NUMBER
    )
    catalog = await catalog_for(context)
    place = given["file"], given["text"], given["line"], given["column"]
    found = await context.tried(
        f"complete {given['file']}",
        context.console.workbench.complete,
        *place,
        catalog=catalog,
        may_edit=context.may("edit"),
    )
    return data({"completions": [one.to_json() for one in found]})


async def schema(context: RequestContext) -> web.Response:
    """The JSON Schema of webhook.json, label.json or shape.json."""
    kinds = {f"{kind}.json": kind for kind in KINDS.values()}
    kind = kinds.get(context.name("name"))
    if kind is None:
        raise web.HTTPNotFound(reason=f"there are {', '.join(kinds)}")
    return data(schema_of(kind))
