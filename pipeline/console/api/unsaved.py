"""Texts that nobody has saved: POST /api/v1/check, preview, would-fire and complete; the schemas."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from pipeline.console.api.body import FLAG, JSON, NUMBER, TEXT, body
from pipeline.console.api.given import by, catalog_for, record_of, require_may_try, text_of, veiled
from pipeline.console.context import Asked
from pipeline.console.render import data
from pipeline.console.veils import may_advise
from pipeline.model.json import Value

_PAYLOADS: Final = ("event", "user", "clauses", "request", "dead_letter", "problem")


async def check(asked: Asked) -> web.Response:
    """``{file, text}``: what `hookline check --json` would print with this text in the file's place."""
    given = await body(asked, "file", file=TEXT, text=TEXT)
    bench = asked.console.workbench
    checked = await asked.tried(
        f"check {given['file']}",
        bench.check,
        given["file"],
        given["text"],
        by=by(asked, given["file"]),
        may_edit=asked.may("edit"),
    )
    return data(checked.to_json())


async def preview(asked: Asked) -> web.Response:
    """``{file, text, record | sample, user, counts}``: each clause with what it saw, and the request.

    text: as on disk, if it is not given. record: a record as JSON, in any shape that the config reads;
    sample: the id of one of GET samples in its place. user: their properties; not given: as the job knows
    them now. counts: true for `would_fire` as well.
    """
    given = await body(asked, "file", file=TEXT, text=TEXT, record=JSON, sample=TEXT, user=JSON, counts=FLAG)
    require_may_try(asked, given["text"])
    bench, file = asked.console.workbench, given["file"]
    text = await text_of(asked, file, given["text"])
    record, user = await record_of(asked, file, given)
    shown = await asked.tried(
        f"preview {file}",
        bench.preview,
        file,
        text,
        record,
        user,
        by=by(asked, file),
        may_edit=asked.may("edit"),
    )
    whole = shown.to_json()
    told = veiled(asked, whole, *_PAYLOADS)
    for clause, unveiled in zip(told["clauses"], whole["clauses"], strict=True):
        if not may_advise(unveiled.get("value"), clause.get("value")):
            clause.pop("advice", None)
    if given["counts"]:
        told["would_fire"] = await _fired(asked, file, text)
    return data(told)


async def would_fire(asked: Asked) -> web.Response:
    """``{file, text}``: on how many of the samples it fires, and did before the edit."""
    given = await body(asked, "file", file=TEXT, text=TEXT)
    require_may_try(asked, given["text"])
    file = given["file"]
    text = await text_of(asked, file, given["text"])
    return data(await _fired(asked, file, text))


async def _fired(asked: Asked, file: str, text: str) -> dict[str, Value]:
    samples = await asked.run(asked.console.looks.samples)
    page, mine = f"would fire {file}", asked.may("edit")
    would = asked.console.workbench.would_fire
    return (await asked.tried(page, would, file, text, samples, by=by(asked, file), may_edit=mine)).to_json()


async def complete(asked: Asked) -> web.Response:
    """``{file, text, line, column}``: what may stand at the cursor, counted from 1 in characters."""
    given = await body(
        asked, "file", "text", "line", "column", file=TEXT, text=TEXT, line=NUMBER, column=NUMBER
    )
    catalog = await catalog_for(asked)
    place = given["file"], given["text"], given["line"], given["column"]
    found = await asked.tried(
        f"complete {given['file']}",
        asked.console.workbench.complete,
        *place,
        catalog=catalog,
        by=by(asked, given["file"]),
        may_edit=asked.may("edit"),
    )
    return data({"completions": [one.to_json() for one in found]})


async def schema(asked: Asked) -> web.Response:
    """The JSON Schema of webhook.json, label.json or shape.json."""
    folder = {"webhook.json": "webhooks", "label.json": "labels", "shape.json": "shapes"}.get(
        asked.name("name")
    )
    if folder is None:
        raise web.HTTPNotFound(reason="there are webhook.json, label.json and shape.json")
    return data(asked.console.workbench.schema(f"{folder}/x.yaml"))
