"""Finds the write key in the texts of a request, and puts a mask in its place."""

from __future__ import annotations

NO_WORD = 8
"""A text that equals a key of so many characters is the key."""
NO_PART_OF_A_WORD = 16
"""A key of so many characters is cut out of longer texts, such as addresses."""
MASK = "***"


def shows(text: str, key: str) -> bool:
    """Return whether the text is the key or holds it, as far as the key is long enough to be no word."""
    if key not in text or len(key) < NO_WORD:
        return False
    return len(key) >= NO_PART_OF_A_WORD or text.strip() == key


def masked(text: str, key: str) -> str:
    """Return the text without the key."""
    return text.replace(key, MASK) if shows(text, key) else text
