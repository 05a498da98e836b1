"""Webhook files over the API: /api/v1/webhooks with GET, PUT, PATCH, DELETE by ETag; orders to one.

Whoever writes says what is there: ``If-Match: "TAG"`` of what was read; ``If-None-Match: *``: nothing.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final, get_args

from aiohttp import web

from pipeline.config.edit import operations
from pipeline.config.edit.paths import parse_path
from pipeline.console import writes
from pipeline.console.api.body import json_of
from pipeline.console.context import RequestContext
from pipeline.console.forms.writing import data_of
from pipeline.console.render import data
from pipeline.deliver.halts import Order
from pipeline.model.errors import ConfigError, UsageError
from pipeline.model.json import Value
from pipeline.operate.cases.case_files import tests_of
from pipeline.operate.files.edits import Changed, FileText, Saved
from pipeline.operate.running.halts import give_order

MOST_PATCHES: Final = 1_000
YAML: Final = "application/yaml"
_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"|([^\s,"]+)')
_FIELDS: Final = frozenset({"op", "path", "value", "at", "to", "key"})


async def listed(context: RequestContext) -> web.Response:
    """Return every webhook of the config on disk, also those with errors."""
    return data({"webhooks": context.unwritten(await context.run(context.console.workbench.webhooks))})


async def one(context: RequestContext) -> web.Response:
    """Return a webhook's file with its tag: JSON, or its text alone for ``Accept: application/yaml``."""
    found = await writes.read(context, context.name("id"))
    text = await context.run(context.yaml_text, found.text)
    if "yaml" in context.request.headers.get("accept", ""):
        answer = web.Response(text=text, content_type=YAML)
    else:
        answer = data(
            {
                "id": context.name("id"),
                "file": found.file,
                "etag": found.etag,
                "text": text,
                "findings": [finding.to_json() for finding in found.findings],
            }
        )
    return _tagged(answer, found.etag)


async def put(context: RequestContext) -> web.Response:
    """Write the whole text: the body, or ``text`` of a JSON body. ``?dry_run=1``: nothing is written."""
    text = await _text(context)
    if context.request.headers.get("if-none-match", "").strip() == "*":
        await context.run(_require_id, context, text)
        saved = await writes.create(context, context.name("id"), text, dry_run=_is_dry(context))
        return _saved(saved, HTTPStatus.OK if _is_dry(context) else HTTPStatus.CREATED)
    found = await writes.read(context, context.name("id"))
    return await _save(context, found, text)


async def patch(context: RequestContext) -> web.Response:
    """Change places of the text: ``[{op, path, value}]``, all of them or none; every other byte stays.

    op: set, insert (of a map at a place ``at``), append, delete, rename (``key``), move (``to``).
    """
    given = await json_of(context)
    if not isinstance(given, list) or not given or len(given) > MOST_PATCHES:
        raise UsageError(f"expected a list of 1 to {MOST_PATCHES:,} patches: [{{op, path, value}}]")
    found = await writes.read(context, context.name("id"))
    text = await context.run(_patched, found, given)
    return await _save(context, found, text)


async def delete(context: RequestContext) -> web.Response:
    """Delete the file; ``pending`` of the answer is what is still owed, and delivered as it was rendered.

    ``?tests=1``: its tests too; ``tests`` of the answer are those that stay, or went along.
    """
    found = await writes.read(context, context.name("id"))
    _require_match(context, found)
    saved = await writes.remove(context, found.file, found.etag, dry_run=_is_dry(context))
    console = context.console
    owed = await context.run(writes.pending, console.state, context.name("id"))
    tests = await context.run(tests_of, console.config, found.file)
    if saved.written and context.query.get("tests") == "1":
        await writes.remove_tests(context, found.file)
    return data({**saved.to_json(), "pending": owed, "tests": tests})


async def order(context: RequestContext) -> web.Response:
    """Pause, resume, disable or enable the webhook now, in the job; its file stays as it is."""
    word = context.name("order")
    known: dict[str, Order] = {str(one): one for one in get_args(Order)}
    if word not in known:
        raise web.HTTPNotFound(reason=f"there is no order `{word[:40]}`: {', '.join(known)}")
    webhook = await writes.known_id(context, context.name("id"))
    context.audit(known[word], webhook)
    console = context.console
    done = await context.run(give_order, console.state, console.config, [webhook], known[word])
    return data({"now": done.now, "webhooks": [one.to_json() for one in done.webhooks]})


async def _save(context: RequestContext, found: FileText, text: str) -> web.Response:
    _require_match(context, found)
    return _saved(await writes.save(context, found.file, text, found.etag, dry_run=_is_dry(context)))


def _saved(saved: Saved, status: int = HTTPStatus.OK) -> web.Response:
    return _tagged(data(saved.to_json(), status=status), saved.etag)


def _tagged(answer: web.Response, etag: str) -> web.Response:
    answer.headers["etag"] = f'"{etag}"'
    return answer


def _require_match(context: RequestContext, found: FileText) -> None:
    """Raise where the request does not say which text it was made from, or names another one."""
    given = context.request.headers.get("if-match", "").strip()
    if given in ("", "*"):
        words = 'say what was read: If-Match: "TAG", as GET gives it; If-None-Match: * for a new webhook'
        raise web.HTTPPreconditionRequired(reason=words)
    if found.etag not in {one or other for one, other in _TAG.findall(given)}:
        raise Changed(
            f"{found.file}: somebody has changed it since it was read; nothing was written: read it again"
        )


def _require_id(context: RequestContext, text: str) -> None:
    said = data_of(text)
    found = said.get("id") if isinstance(said, dict) else None
    if found != context.name("id"):
        raise ConfigError(f"the text says that its id is `{found}`, the address `{context.name('id')}`")


def _is_dry(context: RequestContext) -> bool:
    return context.query.get("dry_run", "") not in ("", "0", "false")


async def _text(context: RequestContext) -> str:
    if context.request.content_type == "application/json":
        given = await json_of(context)
        text = given.get("text") if isinstance(given, dict) else None
        if not isinstance(text, str):
            raise UsageError("the field `text` is missing: {text: the YAML}")
        return text
    try:
        return (await context.request.read()).decode()
    except UnicodeDecodeError:
        raise UsageError("the text is not UTF-8") from None


def _patched(found: FileText, given: list[Value]) -> str:
    text, file = found.text, found.file
    for one in given:
        if not isinstance(one, dict) or not isinstance(one.get("path"), str) or one.keys() - _FIELDS:
            raise UsageError(f"a patch is {{op, path, value}}, not {str(one)[:200]}")
        path = parse_path(one["path"], data_of(text, file))
        value, at = one.get("value"), one.get("at")
        match one.get("op"):
            case "set":
                text = operations.set_value(text, path, value, file=file)
            case "insert":
                text = operations.insert(text, path, value, at=at if type(at) is int else None, file=file)
            case "append":
                text = operations.append(text, path, value, file=file)
            case "delete":
                text = operations.delete(text, path, file=file)
            case "rename" if isinstance(one.get("key"), str):
                text = operations.rename(text, path, one["key"], file=file)
            case "move" if type(one.get("to")) is int:
                text = operations.move(text, path, one["to"], file=file)
            case _:
                raise UsageError(
                    "`op` is set, insert, append, delete, rename (with `key`) or move (with `to`)"
                )
    return text
