"""The command ``hookline``: verbs that compose. Data goes to stdout, talk to stderr."""

from __future__ import annotations


def main() -> None:
    """Run the command line of this process; never returns. Exit codes: `pipeline.cli.exits`."""
    from pipeline.cli.app import run

    raise SystemExit(run())
