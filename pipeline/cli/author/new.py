"""``hookline new``: a webhook file to start from."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click
from click.shell_completion import CompletionItem

from pipeline.cli.options import config_option
from pipeline.cli.output import echo, say
from pipeline.model.errors import UsageError


def _examples(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    from pipeline.operate.starting.shipped import example_names

    return [CompletionItem(name) for name in example_names() if name.startswith(begun)]


@click.command()
@click.argument("id")
@config_option
@click.option(
    "--from",
    "example",
    metavar="EXAMPLE",
    shell_complete=_examples,
    help="Begin with an example and its tests: slack, hubspot, .. (an unknown one lists all).",
)
@click.option("--event", metavar="NAME", default="Purchase", help="Event that fires it.")
@click.option("--url", metavar="URL", default="https://example.com/webhook", help="Where it is sent.")
@click.option(
    "--description", metavar="TEXT", default="Say what it is for.", show_default=False, help="What it is for."
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.pass_context
def new(
    context: click.Context,
    id: str,
    config: Path,
    example: str | None,
    event: str,
    url: str,
    description: str,
    force: bool,
) -> None:
    """Create a webhook file, config/webhooks/ID.yaml, and print its name.

    Without --from it is a commented template that shows what a webhook can contain.
    """
    from pipeline.operate.starting.webhook import commented, from_example, write_webhook

    id = id.removesuffix(".yaml").removesuffix(".yml")
    if example is None:
        files = commented(id, event=event, url=url, description=description)
    else:
        for name in ("event", "url", "description"):
            if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
                raise UsageError(f"--{name} and --from exclude one another: the example has its own")
        files = from_example(id, example)
    written = write_webhook(config, id, files, replace=force)
    for path in written[: len(files)]:
        echo(path)
    if len(written) > len(files):
        say(f"{config / 'schema'} written, for editors")
    say(f"Now edit it, then: hookline check -c {quote(str(config))}")
