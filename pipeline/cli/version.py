"""``hookline version``: what is running here."""

from __future__ import annotations

import platform
from importlib.metadata import version as version_of

import click

from pipeline import __version__
from pipeline.cli.output import echo, json_option, print_json, print_text

PARTS = ("bytewax", "confluent-kafka", "orjson", "aiohttp", "uvloop", "lmdb")


@click.command()
@json_option
def version(as_json: bool) -> None:
    """Print the version, with Python's and those of the main libraries."""
    parts = {name: version_of(name) for name in PARTS}
    if as_json:
        print_json({"hookline": __version__, "python": platform.python_version(), **parts})
        return
    echo(f"hookline {__version__}")
    echo(f"python {platform.python_version()} on {platform.system()} {platform.machine()}")
    print_text(", ".join(f"{name} {number}" for name, number in parts.items()))
