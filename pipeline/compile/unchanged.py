"""Which webhooks an edit does not touch: neither their file nor anything it refers to has changed."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.config.files import ConfigText, is_webhook


def unchanged(text: ConfigText, before: ConfigText) -> frozenset[str]:
    """Return the names of the webhook files that mean in `text` what they meant in `before`.

    Labels, bases, lists, settings and the job's defaults may be named by any of them: where one of these
    differs, none is the same. No webhook refers to another.
    """
    if _surroundings(text) != _surroundings(before):
        return frozenset()
    return frozenset(
        name for name, content in text.files.items() if is_webhook(name) and before.files.get(name) == content
    )


def _surroundings(text: ConfigText) -> tuple[object, ...]:
    others: Mapping[str, str] = {name: one for name, one in text.files.items() if not is_webhook(name)}
    return text.language, text.defaults, dict(text.settings), others
