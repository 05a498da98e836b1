"""The file of a new webhook: a commented template, or an example under a new name."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath

from pipeline.config.edit.operations import set_value
from pipeline.config.models.field_types import is_id
from pipeline.model.errors import UsageError
from pipeline.model.files.disk import write_text
from pipeline.operate.files.edits import new_file, no_id
from pipeline.operate.schemas.files import write_schemas
from pipeline.operate.starting.shipped import TESTS, example, example_tests

_TEMPLATE = """\
# yaml-language-server: $schema=../schema/webhook.json
# Every field: hookline help fields. What is wrong: hookline check. What one event does: hookline explain.
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


def commented(id: str, *, event: str, url: str, description: str) -> dict[str, str]:
    """Return the files of a commented webhook, by their names in ``webhooks/``."""
    text = _TEMPLATE.format(
        id=_scalar(id), event=_scalar(event), url=_scalar(url), description=_scalar(description)
    )
    return {f"{_stem(id)}.yaml": text}


def from_example(id: str, name: str) -> dict[str, str]:
    """Return an example's files as a webhook of another name, with its tests.

    Raises UsageError for an unknown example.
    """
    found = {f"{_stem(id)}.yaml": set_value(example(name), ("id",), id)}
    tests = example_tests(name)
    return found if tests is None else {**found, f"{_stem(id)}{TESTS}": tests}


def write_webhook(config: Path, id: str, files: dict[str, str], *, replace: bool) -> list[Path]:
    """Write the files of a webhook into a config directory, with the schemas they name if missing; return
    what was written, the webhook first.

    Raises UsageError where one exists and may not be overwritten: nothing is written then.
    """
    if not is_id(id):
        raise UsageError(no_id(id))
    paths = {config / "webhooks" / name: text for name, text in files.items()}
    there = next((path for path in paths if path.exists()), None)
    if there is not None and not replace:
        raise UsageError(f"{there} is there already; --force replaces it")
    for path, text in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    schemas = config / "schema"
    return [*paths, *(write_schemas(schemas) if not schemas.exists() else [])]


def _stem(id: str) -> str:
    return PurePosixPath(new_file(id)).stem


def _scalar(text: str) -> str:
    """Return a text as a YAML scalar: plain where that is safe, else in double quotes."""
    if (_PLAIN.fullmatch(text) and text.lower() not in ("true", "false", "null")) or text.startswith(
        "https://"
    ):
        return text if not re.search(r"[#\s]$|\s#", text) else json.dumps(text)
    return json.dumps(text)
