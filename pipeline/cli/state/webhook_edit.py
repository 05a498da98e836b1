"""``hookline webhook set/unset/add``: change one value in a webhook's file and leave the rest as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import config_option, flags
from pipeline.cli.output import echo, json_option, print_json, say

if TYPE_CHECKING:
    from pipeline.config.yaml.diagnostics import KeyPath
    from pipeline.model.json import Value

_options = flags(
    json_option,
    click.option("--offline", is_flag=True, help="Do not look up secrets and settings."),
    click.option("--dry-run", is_flag=True, help="Show what would change, and any problems with it."),
    click.argument("path"),
    click.argument("id"),
    config_option,
)
_text_option = click.option(
    "--text", "is_text", is_flag=True, help="VALUE is text, even if it looks like a number."
)
_NEGATIVE = {"ignore_unknown_options": True}
"""A value such as -5 is no option."""


@click.command("set", context_settings=_NEGATIVE)
@_options
@click.argument("value")
@_text_option
def set_(value: str, is_text: bool, **given: Any) -> None:
    """Set the value at PATH in a webhook's file; everything else is preserved.

    PATH: request.url, trigger.where[0], request.headers["X-Plan"]. VALUE: text, a number, true, false,
    null, or a map or list on one line, such as '[Purchase, Refund]'. The whole config is checked first.
    """
    from pipeline.config.edit.operations import set_value

    _edit(lambda text, path, file: set_value(text, path, _value(value, is_text), file=file), **given)


@click.command("add", context_settings=_NEGATIVE)
@_options
@click.argument("value")
@_text_option
def add(value: str, is_text: bool, **given: Any) -> None:
    """Add an element to the end of the list at PATH, such as trigger.events."""
    from pipeline.config.edit.operations import append

    _edit(lambda text, path, file: append(text, path, _value(value, is_text), file=file), **given)


@click.command("unset")
@_options
def unset(**given: Any) -> None:
    """Delete the value at PATH in the file of a webhook, with its key."""
    from pipeline.config.edit.operations import delete

    _edit(lambda text, path, file: delete(text, path, file=file), **given)


def _edit(
    edit: Callable[[str, KeyPath, str], str],
    config: Path,
    id: str,
    path: str,
    dry_run: bool,
    offline: bool,
    as_json: bool,
) -> None:
    from pipeline.config.edit.paths import parse_path
    from pipeline.model.errors import ConfigError
    from pipeline.model.findings import render_finding
    from pipeline.operate.files.edits import file_of, read, save

    found = read(config, file_of(config, id))
    try:
        text = edit(found.text, parse_path(path, found.data), found.file)
        saved = save(config, found.file, text, found.etag, offline=offline, dry_run=dry_run)
    except ConfigError as error:
        error.root = str(config)
        say("nothing was written:")
        raise
    if as_json:
        print_json(saved.to_json())
        return
    if saved.diff:
        echo(saved.diff.removesuffix("\n"))
    for finding in saved.findings:
        say(render_finding(finding, root=str(config)))
    name = config / saved.file
    if not saved.diff:
        say(f"{name}: it says so already")
    elif dry_run:
        say(f"{name}: nothing was written")
    else:
        say(f"{name}: saved; a running job takes it within seconds")
        if path == "id":
            say(f"what `{id}` owes is still sent; its dead letters, limits and numbers stay under that id")


def _value(text: str, is_text: bool) -> Value:
    """Return what a person means by a value on the command line. Raises ConfigError."""
    from pipeline.config.yaml import scalars
    from pipeline.config.yaml.loader import parse_yaml
    from pipeline.model.errors import ConfigError

    if is_text or text.startswith("{{") or text.startswith("{%"):
        return text
    if text[:1] not in ("{", "[", '"', "'"):
        try:
            return scalars.resolve(text)
        except ValueError as error:
            raise ConfigError(f"{error}: give it with --text to keep it a text") from None
    document = parse_yaml(text, "VALUE")
    errors = [one for one in document.findings if not one.warning]
    if errors or document.root is None:
        raise ConfigError(errors)
    return document.root.value
