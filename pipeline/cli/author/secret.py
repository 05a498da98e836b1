"""``hookline secret``: signing secrets in the form of Standard Webhooks."""

from __future__ import annotations

import base64
import secrets

import click

from pipeline.cli.options import Actions
from pipeline.cli.output import echo

SECRET_BYTES = 32
"""Standard Webhooks asks for 24 to 64 random bytes."""


@click.group(cls=Actions)
def secret() -> None:
    """Make signing secrets."""


@secret.command()
def new() -> None:
    """Print a new signing secret (whsec_...) for `signature: {standard_webhooks: ...}`.

    Give it to the receiver, and to the job in an environment variable or a file.
    """
    echo("whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode())
