"""The model's webhooks as a config, and requests in its form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tests.job.model import URL, WEBHOOKS, Request


def write_config(folder: Path) -> None:
    """Write the webhooks that the model knows."""
    webhooks = folder / "config" / "webhooks"
    webhooks.mkdir(parents=True)
    for name, text in WEBHOOKS.items():
        (webhooks / f"{name}.yaml").write_text(f"id: {name}\n" + text.replace("URL", URL))
    (folder / "config" / "pipeline.yaml").write_text("network: {allow: [127.0.0.0/8]}\nlog: {level: error}\n")


def canonical(requests: Sequence[tuple[str, str, bytes]]) -> list[Request]:
    """Return requests as the model writes them."""
    return [(id, url, json.dumps(json.loads(body), sort_keys=True)) for id, url, body in requests]
