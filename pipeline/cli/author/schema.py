"""``hookline schema``: JSON Schema of the config files, for editors."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.kinds import Place
from pipeline.cli.output import print_json, say

KINDS = ("webhook", "label", "shape", "pipeline", "test", "shape-test")


@click.command()
@click.argument("kind", type=click.Choice(KINDS), required=False, metavar="[KIND]")
@click.option(
    "-o",
    "--output",
    type=Place(file_okay=False),
    help="Directory to write all of them to, as config/schema/ has them.",
)
def schema(kind: str | None, output: Path | None) -> None:
    """Print the JSON Schema of a KIND: webhook (by default), label, shape, pipeline, test, shape-test.

    Editors with a YAML language server use it when a file begins with
    `# yaml-language-server: $schema=../schema/webhook.json`.
    """
    from pipeline.operate.schemas.files import schema as schema_of
    from pipeline.operate.schemas.files import write_schemas

    if output is None:
        print_json(schema_of(kind or "webhook"))
        return
    for path in write_schemas(output):
        say(f"{path} written")
