"""Which secrets and settings a config names, and which webhooks use them; never their values."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.config.documents import setting_refs
from pipeline.language.secrets import SecretRef, refs_in
from pipeline.model.files.plain_file import read_plain
from pipeline.model.json import Value


@dataclass(slots=True)
class Use:
    """How a config uses one ``${NAME}`` or ``${file:path}``."""

    webhooks: dict[str, None] = field(default_factory=dict)
    """Webhook ids, in order."""
    secret: bool = False
    """Whether it occurs anywhere as a secret."""
    setting: bool = False
    """Whether it occurs anywhere as a plain setting."""
    has_default: bool = True
    """Whether every use has a default."""


def secret_uses(files: Iterable[tuple[str | None, Value]], settings: Iterable[SecretRef]) -> dict[str, Use]:
    """Return the placeholders that texts name, by key, sorted.

    files: the id of a webhook (None: another file) and its data, with placeholders as written, except plain
    settings that are already resolved, which are in `settings`.
    """
    found: dict[str, Use] = {}
    for ref in settings:
        use = found.setdefault(ref.key, Use())
        use.setting = True
        use.has_default &= ref.default is not None
    for webhook, data in files:
        plain = {ref.key for ref in setting_refs(data, is_webhook=webhook is not None)}
        for ref in _refs(data):
            use = found.setdefault(ref.key, Use())
            if webhook is not None:
                use.webhooks[webhook] = None
            use.has_default &= ref.default is not None
            if ref.key in plain:
                use.setting = True
            else:
                use.secret = True
    return dict(sorted(found.items()))


def file_state(key: str, base: Path) -> tuple[bool, float | None]:
    """Return whether a ``file:path`` is readable, and how many seconds ago it changed."""
    path = base / key.removeprefix("file:")
    try:
        readable = bool(read_plain(path))
        return readable, max(0.0, time.time() - os.stat(path).st_mtime)
    except (OSError, ValueError):
        return False, None


def _refs(value: Value) -> Iterator[SecretRef]:
    if isinstance(value, str):
        if "${" in value:
            yield from refs_in(value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _refs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _refs(inner)
