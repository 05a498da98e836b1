"""Which webhooks an edit does not touch: neither their file nor anything it refers to has changed."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.config.files import ConfigText, is_webhook


def unchanged(text: ConfigText, before: ConfigText) -> frozenset[str]:
    """Return the names of the webhook files that mean the same in `text` as in `before`.

    Any of them may refer to labels, bases, lists, settings and the job's defaults: where one of these
    differs, none is unchanged. Webhooks do not refer to one another.
    """
    if _surroundings(text) != _surroundings(before):
        return frozenset()
    return frozenset(
        name for name, content in text.files.items() if is_webhook(name) and before.files.get(name) == content
    )


def _surroundings(text: ConfigText) -> tuple[object, ...]:
    others: Mapping[str, str] = {name: one for name, one in text.files.items() if not is_webhook(name)}
    return text.language, text.defaults, dict(text.settings), others
