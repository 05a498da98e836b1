"""``hookline new``: a commented webhook file to start from."""

from __future__ import annotations

import re
from pathlib import Path

import click

from pipeline.cli.options import config_option
from pipeline.cli.output import echo, say
from pipeline.model.errors import UsageError

TEMPLATE = """\
# yaml-language-server: $schema=../schema/webhook.json
# Every field: config/README.md. What is wrong: hookline check. What one event does: hookline explain.
id: {id}
description: {description}
enabled: true

trigger:
  events: [{event}]                     # names or labels, "*" for all; `changes: [plan]` for property changes
  # where:                              # all of these must hold
  #   - event.properties.amount: {{gte: 100}}
  #   - user.properties.plan: {{in: [pro, enterprise]}}
  #   - not: {{user.properties.email: {{as: domain, eq: example.com}}}}
  # sample: {{percent: 10, by: user.id}}
# limit: {{per: user, count: 1, every: 24h}}
# dedupe: {{by: event.id, within: 24h}}

request:
  method: POST
  url: {url}
  # headers: {{Authorization: "Bearer ${{API_TOKEN}}"}}   # a secret: an environment variable of the job
  body:
    # A value that is one expression keeps its type; with text around it, it becomes text.
    text: "{{{{ user.properties.name | default: 'Someone' }}}} did {{{{ event.name }}}}"
    amount: "{{{{ event.properties.amount }}}}"
    user: "{{{{ user }}}}"
    event: "{{{{ event }}}}"
  # signature: {{standard_webhooks: {{secrets: ["${{WEBHOOK_SECRET}}"]}}}}   # make one: hookline secret new

# delivery:
#   timeout: 10s
#   rate: 100/s
#   ordering: per_user                  # or none
#   retry: {{max_age: 72h}}
#   batch: {{max_events: 100, max_wait: 1s, as: array}}
"""

_PLAIN = re.compile(r"[A-Za-z][\w .$-]*")


@click.command()
@click.argument("id")
@config_option
@click.option("--event", default="Purchase", help="Event that fires it.")
@click.option("--url", default="https://example.com/webhook", help="Where it is sent.")
@click.option("--description", default="Say what it is for.", show_default=False, help="What it is for.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def new(id: str, config: Path, event: str, url: str, description: str, force: bool) -> None:
    """Write a commented webhook file, config/webhooks/ID.yaml, and print its name."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", id):
        raise UsageError(f"`{id}` cannot be an id: want small letters, digits, - and _, e.g. big-purchase")
    path = config / "webhooks" / f"{id}.yaml"
    if path.exists() and not force:
        raise UsageError(f"{path} is there already; --force replaces it")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        TEMPLATE.format(id=id, event=_scalar(event), url=_scalar(url), description=_scalar(description)),
        encoding="utf-8",
    )
    echo(path)
    say(f"Now edit it, then: hookline check -c {config}")


def _scalar(text: str) -> str:
    """Return a text as a YAML scalar: plain where that is safe, else in double quotes."""
    import json

    if (_PLAIN.fullmatch(text) and text.lower() not in ("true", "false", "null")) or text.startswith(
        "https://"
    ):
        return text if not re.search(r"[#\s]$|\s#", text) else json.dumps(text)
    return json.dumps(text)
