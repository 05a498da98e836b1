"""The excerpt of an answer that is kept for people: escaped, truncated, free of secrets."""

from __future__ import annotations

from pipeline.deliver.requests.credentials import UsedSecrets
from pipeline.model.printable import one_line

MAX_EXCERPT = 1024
_MASKED = 64 * MAX_EXCERPT
"""Characters that are searched; a whole answer may be much longer."""


def excerpt(answer: bytes, secrets: UsedSecrets | None) -> str:
    """Return the start of a response or message as one line of printable text, at most 1,024 bytes.

    Secrets used for the request are masked before anything is cut.
    """
    if not answer:
        return ""
    text = answer.decode("utf-8", "backslashreplace")
    if secrets is not None:
        head = secrets.mask(text[:_MASKED])
        # A secret cut in the middle would not be recognised: the cut must be far from what is shown.
        text = head if len(text) <= _MASKED or len(head) > _MASKED // 2 else secrets.mask(text)
    text = one_line(text[: 2 * MAX_EXCERPT])
    cut = text[:MAX_EXCERPT].encode("utf-8", "backslashreplace")[:MAX_EXCERPT]
    return cut.decode("utf-8", "ignore")
