"""Finds the write key in the texts of a request, and puts a mask in its place."""

from __future__ import annotations

NO_WORD = 8
"""A text equal to a key of this length is the key, not a word."""
NO_PART_OF_A_WORD = 16
"""A key of this length is also masked inside longer texts, such as addresses."""
MASK = "***"


def shows(text: str, key: str) -> bool:
    """Return whether the text is the key or contains it, if the key is long enough not to be a word."""
    if key not in text or len(key) < NO_WORD:
        return False
    return len(key) >= NO_PART_OF_A_WORD or text.strip() == key


def masked(text: str, key: str) -> str:
    """Return the text without the key."""
    return text.replace(key, MASK) if shows(text, key) else text
