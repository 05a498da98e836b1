"""Shell completion of arguments: webhooks and dead letters by name, from the config and the state.

Whatever goes wrong, nothing is offered: a shell is no place for an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem

MOST: Final = 100
"""Names that are offered; a shell asks before it shows more."""
Names = Iterator[tuple[str, str]]
"""Names, each with what a shell shows beside it."""


def add_completion(verb: str, command: click.Command) -> None:
    """Have the parameters of a verb offer what they name."""
    for name, one in _with_names(verb, command):
        for parameter in one.params:
            found = OFFERED.get(f"{name} {parameter.name}") or OFFERED.get(parameter.name or "")
            if found is not None and parameter._custom_shell_complete is None:
                parameter._custom_shell_complete = _offering(found)


def _with_names(verb: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield verb, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _with_names(f"{verb} {name}", inner)


def _offering(
    names: Callable[[Path, Path | None], Names],
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    def offer(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        given = context.params
        try:
            found = names(Path(given.get("config") or "config"), given.get("state"))
            fitting = ((name, told) for name, told in found if name.startswith(begun))
            return [CompletionItem(name, help=told) for name, told in islice(fitting, MOST)]
        except Exception:
            return []

    return offer


def _webhooks(config: Path, _state: Path | None) -> Names:
    from pipeline.config.files import is_webhook, read_config

    for name, document in read_config(config).documents.items():
        said = document.fields
        if is_webhook(name) and "id" in said:
            yield str(said["id"]), str(said.get("description", ""))


def _dead_letters(config: Path, state: Path | None) -> Names:
    from pipeline.cli.options import state_dir
    from pipeline.operate.kept.dead_pages import page
    from pipeline.operate.kept.dlq import Selection
    from pipeline.outbox.reading.dead_letter_json import name_of, reason_of

    for letter in page(state_dir(config, state), Selection(), None, MOST, secs=1.0).letters:
        yield name_of(letter), f"{letter.request.webhook_id or 'record'}: {reason_of(letter)}"


OFFERED: Final[dict[str, Callable[[Path, Path | None], Names]]] = {
    "webhook": _webhooks,
    "webhooks": _webhooks,
    **{f"webhook {verb} ids": _webhooks for verb in ("pause", "resume", "disable", "enable")},
    **{f"webhook {verb} id": _webhooks for verb in ("set", "add", "unset")},
    "dlq show id": _dead_letters,
    "dlq replay ids": _dead_letters,
    "dlq purge ids": _dead_letters,
}
"""By a parameter, or by a verb and its parameter."""
