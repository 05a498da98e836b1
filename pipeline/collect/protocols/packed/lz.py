"""Decodes LZ-String's ``compressToBase64``, which posthog-js called `lz64`.

Source: pieroxy/lz-string, whose bit stream is six bits a letter, each number with its lowest bit first.
"""

from __future__ import annotations

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BITS = {letter: f"{value:06b}" for value, letter in enumerate(_LETTERS)}
_END = 2


def decompress(packed: str, most: int) -> str:
    """Return the text. Raises ValueError where it is none, or has more than ``most`` letters."""
    try:
        bits = "".join([_BITS[letter] for letter in packed.rstrip("=")])
    except KeyError:
        raise ValueError("not base64") from None
    at = 0

    def take(count: int) -> int:
        nonlocal at
        taken = bits[at : at + count]
        if len(taken) < count:
            raise ValueError("LZ-String ends early")
        at += count
        return int(taken[::-1], 2)

    def letter(kind: int) -> str:
        return chr(take(16 if kind else 8))

    first = take(2)
    if first == _END:
        return ""
    if first > _END:
        raise ValueError("not LZ-String")
    # The three first numbers are "a letter of 8 bits", "one of 16 bits", "the end".
    known: list[str] = ["", "", "", letter(first)]
    before = known[3]
    found = [before]
    size = len(before)
    width, until_wider = 3, 4
    while True:
        code = take(width)
        if code == _END:
            return _joined(found)
        if code < _END:
            known.append(letter(code))
            code = len(known) - 1
            until_wider -= 1
            if until_wider == 0:
                until_wider = 1 << width
                width += 1
        if code < len(known):
            entry = known[code]
        elif code == len(known):
            entry = before + before[0]
        else:
            raise ValueError("not LZ-String")
        found.append(entry)
        size += len(entry)
        if size > most:
            raise ValueError(f"more than {most:,} letters")
        known.append(before + entry[0])
        before = entry
        until_wider -= 1
        if until_wider == 0:
            until_wider = 1 << width
            width += 1


def _joined(found: list[str]) -> str:
    # The letters are JavaScript's, of 16 bits: two of them may be one.
    return "".join(found).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
