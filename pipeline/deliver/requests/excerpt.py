"""What is kept of an answer for people: escaped, cut by bytes, free of secrets."""

from __future__ import annotations

from pipeline.deliver.requests.credentials import UsedSecrets

MAX_EXCERPT = 1024


def excerpt(answer: bytes, secrets: UsedSecrets | None) -> str:
    """Return the start of a response or message as one line of printable text, at most 1,024 bytes.

    Secrets that were used for the request are masked before anything is cut.
    """
    text = answer.decode("utf-8", "backslashreplace")
    if secrets is not None:
        text = secrets.mask(text)
    if not text.isprintable():
        text = "".join(each if each.isprintable() else _escaped(each) for each in text[: 2 * MAX_EXCERPT])
    cut = text[:MAX_EXCERPT].encode("utf-8", "backslashreplace")[:MAX_EXCERPT]
    return cut.decode("utf-8", "ignore")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
