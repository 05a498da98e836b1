"""New Webhook and Edit: one page, whose YAML is the truth. A plain form first; scripts only save reloads."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from aiohttp import web

from pipeline.config.edit.operations import set_value
from pipeline.config.models.field_types import ID_LENGTH
from pipeline.console import writes
from pipeline.console.api import samples
from pipeline.console.context import RequestContext
from pipeline.console.forms.fields.rows import BODIES, KINDS, FieldError, WebhookForm
from pipeline.console.forms.fields.scalars import AUTH, HMAC, METHODS
from pipeline.console.forms.posted import movable
from pipeline.console.forms.proposals import is_secret_name
from pipeline.console.forms.settle import opened
from pipeline.console.pages.editing.draft import BLANK, Draft, opened_draft, sent_draft
from pipeline.console.pages.editing.look import look, redacted
from pipeline.console.pages.editing.rebase import rebase
from pipeline.console.pages.editing.samples import GONE, OWN
from pipeline.console.pages.editing.saved import begin, last, outcome
from pipeline.console.pages.editing.shown import brief, curl_shown, laid_out, operator_words, shown_body
from pipeline.console.render import page, webhook_path
from pipeline.console.turns import Superseded
from pipeline.model.errors import ConfigError
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.operate.files.edits import Changed, Saved
from pipeline.operate.files.history import is_committed
from pipeline.operate.starting import shipped

NEW = "/new-webhook"


async def new(context: RequestContext) -> web.StreamResponse:
    """Return an empty page; `from` an example, `copy` of a webhook, for an `event`: the id of a sample, or a
    name.
    """
    text, sample = BLANK, context.query.get("event", "")
    if example := context.query.get("from"):
        text = await context.run(_example, context, example)
    elif copied := context.query.get("copy"):
        found = await writes.read(context, copied)
        text = await context.run(_renamed, context, found.text)
    elif sample:
        known = await context.run(context.console.looks.samples)
        events = next((one.events for one in known if one.id == sample), None)
        name, sample = (sample, "") if events is None else (next(iter(events), ""), sample)
        text = set_value(BLANK, ("trigger", "events"), [name] * bool(name))
    draft = await context.run(opened_draft, "webhooks/new-webhook.yaml", text, is_new=True)
    return await _show(context, replace(draft, sample=sample, is_fresh=text == BLANK))


def _example(context: RequestContext, name: str) -> str:
    return _renamed(context, shipped.example(name))


def _renamed(context: RequestContext, text: str) -> str:
    """Return a text under an id that is free, not enabled."""
    data = opened(text).form.fields
    taken = {str(one["id"]) for one in context.console.workbench.webhooks()}
    own = found = data["id"] or "new-webhook"
    numbers = itertools.count(2)
    while found in taken:
        more = f"-{next(numbers)}"
        found = own[: ID_LENGTH - len(more)] + more
    return set_value(set_value(text, ("id",), found), ("enabled",), False)


async def create(context: RequestContext) -> web.StreamResponse:
    """Take what was typed into the page of a new webhook."""
    taken = {str(one["id"]) for one in await context.run(context.console.workbench.webhooks)}
    sent = [*(await context.form()).items()]
    draft = await context.run(sent_draft, "webhooks/new-webhook.yaml", sent, taken)
    if draft.do == "save":
        return await _save(context, draft)
    return await _answer(context, draft)


async def edit(context: RequestContext) -> web.StreamResponse:
    """Return the page of a webhook that is there."""
    found = await writes.read(context, context.name("id"), guess=True)
    draft = await context.run(opened_draft, found.file, found.text, found.etag)
    return await _show(context, replace(draft, read_as=found.read_as))


async def change(context: RequestContext) -> web.StreamResponse:
    """Take what was typed into the page of a webhook.

    Where its file is gone meanwhile that is said first; then to save is to make it anew.
    """
    known = await writes.files(context)
    name = context.name("id")
    file = writes.file_of(name, known)
    sent = [*(await context.form()).items()]
    draft = await context.run(sent_draft, file or "", sent, None if file else set(known))
    if file is None:
        draft, was_told = replace(draft, gone=name), draft.gone
        if not was_told and draft.do in ("save", "apply"):
            context.unchanged()
            return await _show(context, replace(draft, do=""), status=412)
    if draft.do == "save":
        return await _save(context, draft)
    if draft.do == "apply":
        context.unchanged()
        return await _show(context, await context.run(rebase, context.console.workbench, draft))
    return await _answer(context, draft)


async def tried(context: RequestContext) -> web.StreamResponse:
    """Return the page of a webhook with an event that was seen elsewhere as its sample; nothing is saved."""
    context.unchanged()
    form = await context.form()
    found = await writes.read(context, context.name("id"))
    draft = await context.run(opened_draft, found.file, found.text, found.etag)
    record, user = form.get("record", ""), form.get("user", "")
    return await _show(context, replace(draft, sample=OWN, record=record, user=user))


async def _answer(context: RequestContext, draft: Draft) -> web.StreamResponse:
    if draft.do not in ("send-test", "send-now"):
        context.unchanged()
        return await _show(context, draft)
    if draft.do == "send-test" and not context.is_partial:
        context.unchanged()
        return await _show(context, draft, asks=True)
    return await _show(context, draft, tested=await _tested(context, draft))


async def _tested(context: RequestContext, draft: Draft) -> dict[str, Value]:
    """Return what became of a test, or why there was none."""
    if not context.may("operate"):
        context.unchanged()
        return {"problem": "your role may not send"}
    webhook = draft.settled.form.fields["id"].strip()
    chosen = (await context.run(look, context.console, draft, payloads=True)).chosen
    if draft.sample not in ("", chosen.key):
        context.unchanged()
        return {"problem": GONE}
    given: dict[str, Value] = dict.fromkeys(("record", "sample", "user"))
    try:
        given["record"] = json.loads(chosen.record)
        given["user"] = json.loads(chosen.user) if chosen.user.strip() else None
    except (ValueError, RecursionError) as error:
        context.unchanged()
        return {"problem": f"the sample is not valid JSON: {error}"}
    given |= {"file": draft.file, "text": draft.text}
    return await samples.sent_or_problem(context, webhook, given)


async def _save(context: RequestContext, draft: Draft) -> web.StreamResponse:
    webhook = draft.settled.form.fields["id"].strip()
    if draft.is_new and not webhook:
        settled = draft.settled
        draft = replace(draft, settled=replace(settled, errors=(*settled.errors, *_missing(settled.form))))
    if not draft.settled.is_whole:
        context.unchanged()
        return await _show(context, draft, status=422)
    before = await context.console.job()
    saved: Saved
    try:
        if draft.is_new:
            saved = await writes.create(context, webhook, draft.text)
        else:
            saved = await writes.save(context, draft.file, draft.text, draft.etag)
    except Changed as error:
        if draft.is_new:
            return await _show(context, draft, status=412, refused=error.findings)
        theirs = await context.run(context.console.workbench.read, draft.file, guess=True)
        return await page(
            context, "edit_conflict.html", status=412, draft=draft, theirs=theirs, quoted=json.dumps
        )
    except ConfigError as error:
        return await _show(context, draft, status=422, refused=error.findings or [_said(draft, str(error))])
    begin(context, saved, before)
    return context.go(f"{webhook_path(webhook or context.name('id'))}/saved")


def _missing(form: WebhookForm) -> Iterator[FieldError]:
    """Yield what a webhook without an id lacks, field by field."""
    yield FieldError("id", "an id is missing: it names the file, the metrics and the dead letters")
    if not form.fields["url"].strip() and not any(one.path[0] == "extends" for one in form.others):
        yield FieldError("url", "the URL is missing: where requests are sent")


def _said(draft: Draft, words: str) -> Finding:
    return Finding(draft.file, 0, 0, "not-saved", words)


def _by(context: RequestContext, draft: Draft) -> str:
    """Return of what this is one of several texts: those that a script sends while somebody types. A page
    that a browser has asked for is one of its own: without an answer it would stay what it was.
    """
    whose = (
        context.request.cookies.get(context.console.sessions.cookie, "")[:16]
        if context.is_partial
        else f"page {id(context)}"
    )
    return f"{whose} {draft.file}"


async def _show(
    context: RequestContext,
    draft: Draft,
    *,
    status: int = 200,
    refused: Sequence[Finding] = (),
    asks: bool = False,
    tested: dict[str, Value] | None = None,
) -> web.StreamResponse:
    try:
        looked = await context.tried(
            _by(context, draft),
            look,
            context.console,
            draft,
            refused,
            payloads=context.may("payloads"),
        )
    except Superseded:
        return web.Response(status=204)
    looked = redacted(looked, context.masked)
    own = None if draft.is_new and not draft.gone else context.name("id")
    return await page(
        context,
        "edit_form.html" if context.is_partial else "edit.html",
        status=status if not context.is_partial else 200,
        draft=draft,
        form=draft.settled.form,
        looked=looked,
        refused=refused,
        asks=asks,
        tested=tested,
        action=NEW if own is None else f"{webhook_path(own)}/edit",
        webhook_id=own,
        examples=shipped.example_names() if draft.is_fresh and draft.is_new else [],
        KINDS=list(KINDS.items()),
        BODIES=list(BODIES.items()),
        METHODS=[(one, one) for one in METHODS],
        AUTH=AUTH,
        HMAC=HMAC,
        OPERATORS=operator_words(),
        quoted=json.dumps,
        host=looked.host,
        is_secret_name=is_secret_name,
        laid_out=laid_out,
        focused=_focused(draft),
        movable=movable,
        shown_body=shown_body,
        curl=curl_shown,
        brief=brief,
    )


def _focused(draft: Draft) -> int | None:
    """Return the row of the body that was just added."""
    if not draft.do.startswith("add-key"):
        return None
    rows = draft.settled.form.body
    return next((index for index in range(len(rows) - 1, -1, -1) if rows[index].is_blank), None)


async def saved(context: RequestContext) -> web.StreamResponse:
    """Return what became of what was saved last."""
    save = last(context)
    known = {str(one["id"]): one for one in await context.run(context.console.workbench.webhooks)}
    if save is None or known.get(context.name("id"), {}).get("file", save.saved.file) != save.saved.file:
        return context.go(webhook_path(context.name("id")))  # nothing, or another one in another tab
    told = save.saved
    committed = await context.run(is_committed, context.console.config, told.file)
    return await page(
        context,
        "saved.html",
        webhook_id=context.name("id"),
        saved=told,
        outcome=await outcome(context, save),
        enabled=known.get(context.name("id"), {}).get("enabled"),
        git=None if committed is None else not committed,
    )
