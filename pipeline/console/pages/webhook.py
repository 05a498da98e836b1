"""The page of one webhook: its numbers, attempts, tests and history; pausing, disabling, deleting it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Final

from aiohttp import web

from pipeline.admin.socket_client import NotRunning
from pipeline.config.files import TESTS
from pipeline.console import writes
from pipeline.console.context import RequestContext
from pipeline.console.glance import Glance, glance
from pipeline.console.pages.webhooks import back_to, obey, order_of, told
from pipeline.console.redaction import redacted_attempt
from pipeline.console.render import OptionalFields, data, page, webhook_path
from pipeline.console.security.audit_reader import Wanted, read_page
from pipeline.model.errors import ConfigError, UsageError
from pipeline.model.json import Value
from pipeline.operate.cases.case_files import tests_beside, tests_of
from pipeline.operate.files import history as git
from pipeline.operate.files.edits import Changed, FileText
from pipeline.operate.overview.rows import WebhookRow
from pipeline.operate.overview.sampler import spark
from pipeline.operate.running import looks
from pipeline.operate.trials.cases import run_file
from pipeline.operate.trials.results import CaseResult

FAILURES: Final = 20
ATTEMPTS: Final = 200
LINES: Final = 50
"""Of the audit that are looked at for one webhook."""
GOOD: Final = "delivered"


async def show(context: RequestContext) -> web.StreamResponse:
    """Return the summary: trigger and request in words, numbers, the last failures, the file."""
    seen, row = await _row(context)
    text, found = "", []
    if row.file:
        checked = await context.run(context.console.workbench.check_saved)
        found = [one for one in checked.findings if one.file == row.file and one.warning <= (not row.errors)]
        text = (await _file(context, row)).text
        text = await context.run(context.yaml_text, text)
    tried = await _attempts(context, row.id)
    failures = [one for one in tried or [] if one["outcome"] != GOOD][:FAILURES]
    if context.wants_json:
        return data({**row.to_json(), "text": text, "failures": failures, "running": seen.stands.running})
    return await page(
        context,
        "webhook.html",
        row=row,
        tab="",
        text=text,
        found=found,
        failures=failures,
        has_memory=tried is not None,
        known_secs=context.console.sampler.known_secs,
        sparks=[(name, spark(context.console.sampler.lately(row.id, name))) for name in ("matched", "dead")],
        running=seen.stands.running,
    )


async def deliveries(context: RequestContext) -> web.StreamResponse:
    """Return the attempts that the job has in memory: failures, and a sample of successes."""
    seen, row = await _row(context)
    tried = await _attempts(context, row.id)
    codes = Counter(_code(one) for one in tried or [])
    wanted = context.query.get("status", "")
    shown = [one for one in tried or [] if not wanted or _code(one) == wanted]
    if context.wants_json:
        return data({"attempts": shown, "running": tried is not None})
    return await page(
        context,
        "webhook_deliveries.html",
        row=row,
        tab="/deliveries",
        attempts=shown,
        codes=sorted(codes.items()),
        wanted=wanted,
        has_memory=tried is not None,
        running=seen.stands.running,
    )


async def tests(context: RequestContext) -> web.StreamResponse:
    """Run the tests beside the webhook's file, and return what became of each."""
    _, row = await _row(context)
    config = context.console.config
    found = await context.run(tests_beside, config, row.file) if row.file else []
    file = ", ".join(found) if found else f"{row.file.rpartition('.')[0]}{TESTS[0]}" if row.file else ""
    results = [one for each in found for one in await context.run(_run, config, each)]
    results = [replace(one, failures=context.unwritten(one.failures)) for one in results]
    if context.wants_json:
        return data({"file": file, "cases": [one.to_json() for one in results]})
    return await page(
        context,
        "webhook_tests.html",
        row=row,
        tab="/tests",
        file=file,
        results=results,
        failed=sum(not one.passed for one in results),
    )


def _run(config: Path, file: str) -> list[CaseResult]:
    return [*run_file(config / file, config)]


async def history(context: RequestContext) -> web.StreamResponse:
    """Return the commits that changed the file, where the folder is a repository."""
    _, row = await _row(context)
    config = context.console.config
    found = await context.run(git.versions, config, row.file) if row.file else None
    committed = await context.run(git.is_committed, config, row.file) if row.file else None
    if not context.may("edit"):  # a literal that is hidden in the file may stand in what it was
        found = None if found is None else [_veiled(one) for one in found]
    if context.wants_json:
        return data({"versions": None if found is None else [one.to_json() for one in found]})
    wanted = Wanted(target=row.id)
    part = await context.run(read_page, context.console.audit.path, wanted, None, LINES)
    own = (row.id, row.file)
    return await page(
        context,
        "webhook_history.html",
        row=row,
        tab="/history",
        versions=found,
        committed=committed,
        acts=[OptionalFields(line) for line in part.lines if line.get("target") in own],
    )


def _veiled(one: git.Version) -> git.Version:
    return git.Version(one.id, one.at, one.author, one.subject, "")


async def give(context: RequestContext) -> web.StreamResponse:
    """Pause, resume, disable or enable it. `back` of the form: the words of the list that it came from."""
    seen, row = await _row(context)
    form = await context.form()
    order = order_of(form.get("do", ""))
    context.say(*told(order, await obey(context, seen, [row.id], order)))
    return context.go(webhook_path(row.id) if "back" not in form else back_to(form))


async def ask_end(context: RequestContext) -> web.StreamResponse:
    """Ask for the webhook's id before its file is deleted; say what becomes of what it owes."""
    _, row = await _row(context)
    return await _ask_end(context, row)


async def end(context: RequestContext) -> web.StreamResponse:
    """Delete the webhook's file."""
    _, row = await _row(context)
    form = await context.form()
    if form.get("id", "").strip() != row.id:
        context.unchanged()
        return await _ask_end(context, row, f"this is not its id: type {row.id}")
    try:
        saved = await writes.remove(context, row.file, form.get("etag", ""))
    except Changed:
        return await _ask_end(context, row, "somebody has changed the file since this page was opened", 412)
    except ConfigError as error:
        return await _ask_end(context, row, str(error))
    gone = saved.file
    if form.get("tests"):
        gone = " and ".join([gone, *await writes.remove_tests(context, row.file)])
    owed = f" Its {row.pending:,} pending requests are still sent." if row.pending else ""
    context.say(f"{gone} {'are' if gone != saved.file else 'is'} deleted.{owed}")
    return context.go("/webhooks")


async def _file(context: RequestContext, row: WebhookRow) -> FileText:
    return await context.run(context.console.workbench.read, row.file, guess=True)


async def _ask_end(
    context: RequestContext, row: WebhookRow, problem: str = "", status: int = 422
) -> web.StreamResponse:
    if not row.file:
        raise web.HTTPNotFound(reason=f"there is no file of {row.id}")
    found = await _file(context, row)
    return await page(
        context,
        "webhook_delete.html",
        status=status if problem else 200,
        row=row,
        tab="/delete",
        etag=found.etag,
        tests=await context.run(tests_of, context.console.config, row.file),
        problem=problem,
    )


async def _row(context: RequestContext) -> tuple[Glance, WebhookRow]:
    """Return how things stand, and the webhook. Raises HTTPNotFound."""
    seen = await glance(context)
    name = context.name("id")
    row = next((one for one in seen.rows if name in (one.id, one.file)), None)
    if row is None:
        raise writes.not_found(name, [one.id for one in seen.rows])
    return seen, row


async def _attempts(context: RequestContext, webhook: str) -> list[dict[str, Value]] | None:
    """Return the last attempts as who asks may see them; None where no job runs."""
    try:
        found = await context.run(looks.attempts, context.console.state, webhook, limit=ATTEMPTS)
    except NotRunning:
        return None
    except UsageError:
        return []  # it is in no config any more, and nothing of it is left but its counts
    return [redacted_attempt(context, one) for one in found]


def _code(one: dict[str, Value]) -> str:
    """Return by what an attempt is found: its status, or in a word why there was none."""
    return str(one["status"] or one["reason"] or one["outcome"])[:40]
