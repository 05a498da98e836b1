"""Trying a saved webhook on an event: previewed, sent once by the job, or saved as a test."""

from __future__ import annotations

import json
from dataclasses import dataclass

from aiohttp import web

from pipeline.console import writes
from pipeline.console.api import samples
from pipeline.console.context import Console, RequestContext
from pipeline.console.forms.proposals import host_of
from pipeline.console.forms.settle import opened
from pipeline.console.pages.editing.look import Looked, redacted
from pipeline.console.pages.editing.offers import Offers
from pipeline.console.pages.editing.samples import GONE, OWN, ChosenSample, choose
from pipeline.console.pages.editing.shown import brief, curl_shown, shown_body
from pipeline.console.render import page, webhook_path
from pipeline.model.errors import UsageError
from pipeline.model.json import Value
from pipeline.operate.cases.case_files import add_case, case_of
from pipeline.operate.files.edits import FileText
from pipeline.operate.unsaved.cases import case_samples
from pipeline.operate.unsaved.results import Previewed


@dataclass(slots=True, frozen=True)
class SavedTried:
    """A webhook and an event."""

    file: FileText
    chosen: ChosenSample
    previewed: Previewed
    method: str
    url: str
    """Method and URL are as the file has them."""


async def show(context: RequestContext) -> web.StreamResponse:
    """Return the page: which event, and the request that it leads to. Nothing is sent."""
    return await _show(context, await _tried(context, context.query.get("sample", "")))


async def act(context: RequestContext) -> web.StreamResponse:
    """Send the request, or keep event and request as a case of its tests."""
    form = await context.form()
    do = form.get("do", "")
    tried = await _tried(context, form.get("sample", ""))
    if tried.chosen.key != form.get("sample", ""):
        context.unchanged()
        return await _show(context, tried, {"problem": GONE})
    if do == "keep":
        return await _keep(context, tried)
    if do != "send":
        raise UsageError(f"`{do[:40]}` is not an action for a sample: there are send, keep")
    given: dict[str, Value] = dict.fromkeys(("sample", "file", "text"))
    given["record"] = json.loads(tried.chosen.record)
    given["user"] = json.loads(tried.chosen.user) if tried.chosen.user.strip() else None
    return await _show(context, tried, await samples.sent_or_problem(context, context.name("id"), given))


async def _keep(context: RequestContext, tried: SavedTried) -> web.StreamResponse:
    if not context.may("edit"):
        raise web.HTTPForbidden(reason=f"your role ({context.viewer.role}) may not write files")
    webhook, file, shown = context.name("id"), tried.file.file, tried.previewed
    context.audit("add case", file)
    case = case_of(webhook, shown, with_url="${" not in tried.url)
    if context.masked(case) != case:
        raise UsageError("this sample holds what this console hides (`console.mask`): write the case by hand")
    name = await context.run(add_case, context.console.config, file, case)
    context.say(f"{name} has one more case: {case['name']}.")
    return context.go(f"{webhook_path(webhook)}/tests")


async def _tried(context: RequestContext, sample: str) -> SavedTried:
    file = await writes.read(context, context.name("id"))
    return await context.run(_look, context.console, file, sample, payloads=context.may("payloads"))


def _look(console: Console, file: FileText, sample: str, *, payloads: bool) -> SavedTried:
    form = opened(file.text).form
    chosen = choose(
        form,
        file.text,
        console.looks.samples() if payloads else [],
        case_samples(console.config, file.file) if payloads else [],
        key="" if sample == OWN else sample,
        record="",
        user="",
    )
    user = chosen.user or ("" if payloads else "{}")  # what is stored of a user is not for everybody
    previewed = console.workbench.preview(file.file, file.text, chosen.record, user or None)
    return SavedTried(file, chosen, previewed, form.fields["method"], form.fields["url"])


async def _show(
    context: RequestContext, tried: SavedTried, told: dict[str, Value] | None = None
) -> web.StreamResponse:
    looked = redacted(Looked(tried.chosen, Offers(), tried.previewed), context.masked)
    return await page(
        context,
        "webhook_trial.html",
        id=context.name("id"),
        file=tried.file.file,
        chosen=looked.chosen,
        choices=[one for one in looked.chosen.choices if one[0] != OWN],
        seen=looked.previewed,
        method=tried.method,
        host=host_of(tried.url if tried.previewed.request is None else tried.previewed.request.url),
        tested=told,
        running=bool(await context.console.job()),
        curl=curl_shown,
        shown_body=shown_body,
        brief=brief,
    )
