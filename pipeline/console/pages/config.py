"""The Config page: problems, files, the job's settings, the names of secrets."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from pipeline.config.job import load_pipeline
from pipeline.config.settings import Setting
from pipeline.console.context import RequestContext
from pipeline.console.render import data, page
from pipeline.model.errors import HooklineError
from pipeline.model.findings import Finding, in_order
from pipeline.model.json import Value
from pipeline.operate.files.tree import ConfigFile
from pipeline.operate.unsaved.environment import SecretState


@dataclass(slots=True, frozen=True)
class ConfigShown:
    """What the page says."""

    findings: tuple[Finding, ...]
    files: list[ConfigFile]
    settings: tuple[Setting, ...]
    secrets: list[SecretState]

    def to_json(self) -> dict[str, Value]:
        """Return the fields."""
        return {
            "findings": [one.to_json() for one in self.findings],
            "files": [one.to_json() for one in self.files],
            "settings": {one.name: {"value": one.value, "origin": one.origin} for one in self.settings},
            "secrets": [one.to_json() for one in self.secrets],
        }


def _look(context: RequestContext) -> ConfigShown:
    console = context.console
    pipeline = load_pipeline(console.config)
    loaded = pipeline.config
    files = (
        console.tree.files()
        if loaded is None
        else console.tree.files(loaded.formats, loaded.defaults.exclude)
    )
    try:
        findings = [*console.workbench.check_saved().findings]
        secrets = console.workbench.secrets()
    except HooklineError as error:
        findings, secrets = [Finding("", 0, 0, "unreadable", str(error))], []
    told = {(one.file, one.line) for one in findings if one.code == "plain-secret"}
    findings += [one for one in console.tree.secrets() if (one.file, one.line) not in told]
    found = sorted(in_order(findings), key=lambda one: one.warning)
    return ConfigShown(tuple(found), files, () if loaded is None else loaded.settings, secrets)


async def show(context: RequestContext) -> web.StreamResponse:
    """Return the page, or what it says as data."""
    shown = await context.run(_look, context)
    if context.wants_data:
        return data(shown.to_json())
    by_file = {one.file: one for one in shown.files}
    return await page(context, "config.html", shown=shown, by_file=by_file, errors=_errors(shown))


def _errors(shown: ConfigShown) -> int:
    return sum(not one.warning for one in shown.findings)


async def file(context: RequestContext) -> web.StreamResponse:
    """Return one file with its line numbers; what looks like a secret is hidden from all but editors."""
    name = context.query.get("name", "")
    text = await context.run(context.console.tree.text, name)
    if text is None:
        raise web.HTTPNotFound(reason="the config has no file of this name")
    shown = await context.run(context.yaml_text, text)
    if context.wants_json:
        return data({"file": name, "text": shown})
    found = next((one for one in await context.run(context.console.tree.files) if one.file == name), None)
    return await page(context, "config_file.html", name=name, lines=shown.splitlines(), found=found)
