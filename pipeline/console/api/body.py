"""The body of an API request: known fields of the expected types; the text and the record they name."""

from __future__ import annotations

from typing import Final

import orjson
from aiohttp import web

from pipeline.console.context import RequestContext
from pipeline.console.redaction import catalog_shown
from pipeline.model.errors import UsageError
from pipeline.model.json import Value, kind_of
from pipeline.model.words import one_of

_NAMES: Final = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}
TEXT: Final = (str,)
NUMBER: Final = (int,)
FLAG: Final = (bool,)
LIST: Final = (list,)
OBJECT: Final = (dict,)
JSON: Final = (dict, list, str)
"""A value, or the text of one as a person typed it."""
MOST: Final = 1_000
"""Rows of one answer."""


async def json_of(context: RequestContext) -> Value:
    """Return the body of a request. Raises UsageError where it is not JSON."""
    try:
        return orjson.loads(await context.request.read())
    except orjson.JSONDecodeError as error:
        raise UsageError(f"the body is not valid JSON: {error}") from None


async def body(context: RequestContext, *required: str, **kinds: tuple[type, ...]) -> dict[str, Value]:
    """Return the fields of a JSON body; those that are not given are None.

    required: names of fields that must be there. kinds: what each field may be; null stands for not given.
    Raises UsageError that names the field.
    """
    given = await json_of(context)
    if not isinstance(given, dict):
        raise UsageError(f"the body is {kind_of(given)}: expected an object with {', '.join(kinds)}")
    for name, value in given.items():
        one_of(name, kinds, "field")
        if value is not None and type(value) not in kinds[name]:
            words = " or ".join(_NAMES[one] for one in kinds[name])
            raise UsageError(f"`{name}` is {kind_of(value)}: expected {words}")
    missing = next((name for name in required if given.get(name) is None), None)
    if missing is not None:
        raise UsageError(f"the field `{missing}` is missing")
    return {name: given.get(name) for name in kinds}


def require_may_try(context: RequestContext, text: str | None) -> None:
    """Raise HTTPForbidden where a text of one's own would tell of events what is hidden from who asks.

    On how many samples a condition holds, and what a template makes of a property, says what is in them. Who
    edits webhooks can have all of it sent anywhere.
    """
    if text is None or context.may("edit"):
        return
    if not context.may("payloads"):
        raise web.HTTPForbidden(reason="your role may only try what is on disk, not a text of its own")
    if context.console.mask:
        raise web.HTTPForbidden(
            reason="this console hides properties (`console.mask`): your role may only try what is on disk"
        )


async def text_of(context: RequestContext, file: str, text: str | None) -> str:
    """Return a text that was given, else that of the file. Raises Changed where there is none."""
    if text is not None:
        return text
    return (await context.run(context.console.workbench.read, file)).text


async def record_of(context: RequestContext, file: str, given: dict[str, Value]) -> tuple[str, str | None]:
    """Return the record that is meant and its user's properties as JSON texts; None: as the job knows them.

    Raises UsageError where none is given, or the sample is gone.
    """
    record, user = given["record"], given["user"]
    if given["sample"] is not None:
        if record is not None:
            raise UsageError("name either `record` or `sample`")
        sample = await context.run(context.console.sample, given["sample"], file)
        if not sample.records:
            raise UsageError(f"the sample {sample.id} holds no record: {sample.fault or 'it is too large'}")
        record, user = sample.records[0], sample.properties if user is None else user
    if record is None:
        raise UsageError("what is tried is missing: `record` (JSON), or `sample` (an id of GET samples)")
    return _json(record), None if user is None else _json(user)


def _json(value: Value) -> str:
    """Return a value as JSON; a text is JSON already, as a person typed it."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


async def catalog_for(context: RequestContext) -> dict[str, Value]:
    """Return the names and properties that were seen, as who asks may see them."""
    return catalog_shown(context, await context.run(context.console.looks.catalog))


def redacted(context: RequestContext, told: dict[str, Value], *names: str) -> dict[str, Value]:
    """Return what is told with these fields as they may be shown: without what `console.mask` names."""
    hidden: dict[str, Value] = context.masked({name: told[name] for name in names})
    return told | hidden
