"""Masks secrets in texts written by others, in whatever form a receiver echoes them."""

from __future__ import annotations

import base64
import html
import json
import re
from collections import deque
from functools import lru_cache
from html.entities import codepoint2name
from typing import Final
from urllib.parse import quote, quote_plus

SHORTEST: Final = 4
"""Shorter secrets are not searched for: masking them would black out half of every text."""
RUN: Final = re.compile(r"[A-Za-z0-9_-]{8,}")
"""A run of characters that no escaping changes; one this long identifies the secret."""
_PLAIN: Final = re.compile(r"[a-z0-9]+")
"""Characters, in lower case, that look the same in every escaped form."""
_SHORT: Final = 512
TOKENS: Final = 3
"""Of values that replace one another, so many are remembered: to prepare thousands takes seconds."""
_ESCAPABLE: Final = 256
"""Secrets up to this long are also searched with each character escaped; longer ones have runs."""
_SHOWN: Final = 8 << 10
"""Texts up to this long are also searched for escaped letters; excerpts are far shorter."""
_GO: Final = str.maketrans({"&": "\\u0026", "<": "\\u003c", ">": "\\u003e"})
_URL_SAFE: Final = str.maketrans("+/", "-_")
_CODE: Final = r"(?:3[0-9]|[46][1-9a-f]|[57][0-9a])"
"""The hexadecimal code of a letter or digit."""
_LETTER: Final = re.compile(
    rf"(?<!\\)\\++(?:(?:u\{{?0{{0,6}}|x)({_CODE})\}}?|(06[0-7]|07[01]|1[0-7][0-7]))"
    rf"|%(?:25){{0,4}}({_CODE})|=({_CODE})"
    rf"|&(?:amp;){{0,4}}#(?:x0{{0,6}}({_CODE})"
    r"|0{0,6}(4[89]|5[0-7]|6[5-9]|[78][0-9]|90|9[7-9]|1[01][0-9]|12[0-2]));",
    re.IGNORECASE,
)
_BETWEEN: Final = str.maketrans("", "", ":,- \t")
_DRAWN: Final = bytes.maketrans(b"123456789abcdefABCDEFX:, \t", b"0" * 21 + b"x----")
_BYTES: Final = (b"00-00-00", b"0000-0000", b"00-00000000", b"0x00", b"00--00")
"""How bytes in hex look, with separators."""
_HEX: Final = re.compile(
    r"(?<![0-9a-f])(?:0x)?(?:[0-9a-f]{2}){1,8}+(?:(?:[:,-]|,?[ \t]{1,4})(?:0x)?(?:[0-9a-f]{2}){1,8}+)+",
    re.IGNORECASE,
)
_BASE64_LINES: Final = re.compile(r"(?<=[A-Za-z0-9+/]{60})(?:\\r)?(?:\\n|\r?\n)(?=[A-Za-z0-9+/]{2})")


class Masks:
    """The secrets of a process, or of some of its webhooks, and what is shown in their place."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._tokens: dict[object, deque[str]] = {}
        self._exact = _Forms({})
        self._any_case = _Forms({})
        self._escaped: list[tuple[str, str, str]] = []
        self._stale = False
        self._known: dict[str, str] = {}
        """Short texts masked recently: a failing receiver repeats its answer."""

    def add(self, value: str, shown: str, of: object = None) -> None:
        """Show ``shown`` in place of a value from now on. of: whose token it is; it replaces others."""
        known = self._values.get(value)
        if len(value) < SHORTEST or known == shown or (of is not None and known is not None):
            return
        self._values[value] = shown
        if of is not None:
            tokens = self._tokens.setdefault(of, deque())
            tokens.append(value)
            if len(tokens) > TOKENS:
                self._values.pop(tokens.popleft(), None)
        self._stale = True

    def clear(self) -> None:
        """Forget all of them."""
        self._values.clear()
        self._tokens.clear()
        self._stale = True

    def mask(self, text: str) -> str:
        """Return the text without the secrets, the longest masked first."""
        if self._stale:
            self._prepare()
        known = self._known.get(text)
        if known is not None:
            return known
        masked = self._masked(text)
        head = masked[:_SHOWN]
        plainer = undone(head)
        if plainer != head and (found := self._masked(plainer)) != plainer:
            masked = found + masked[_SHOWN:]
        if len(text) <= _SHORT:
            if len(self._known) >= _SHORT:
                self._known = {}
            self._known[text] = masked
        return masked

    def _masked(self, text: str) -> str:
        for form, shown in self._exact.near(text):
            text = text.replace(form, shown)
        low = text.lower()
        for form, shown in self._any_case.near(low):
            text = re.sub(re.escape(form), shown.replace("\\", r"\\"), text, flags=re.IGNORECASE)
        low = text.lower()
        for piece, value, shown in self._escaped:
            if piece in low and (pattern := escaped(value)) is not None:
                text = pattern.sub(shown.replace("\\", r"\\"), text)
        return text

    def _prepare(self) -> None:
        # Cleared first: what another thread adds meanwhile is prepared at the next call.
        self._stale = False
        self._known = {}
        values = list(self._values.items())
        self._exact = _Forms({form: shown for value, shown in values for form in exact_forms(value)})
        self._any_case = _Forms({form: shown for value, shown in values for form in any_case(value)})
        self._escaped = [
            (max(_PLAIN.findall(value.lower()), key=len, default=""), value, shown)
            for value, shown in sorted(values, key=lambda one: -len(one[0]))
        ]


class _Forms:
    """Texts to search for, indexed by first characters: many secrets must not slow down every failure."""

    def __init__(self, forms: dict[str, str]) -> None:
        self._all = sorted(forms.items(), key=lambda form: -len(form[0]))
        self._by_start: dict[str, list[tuple[str, str]]] = {}
        for form in self._all:
            self._by_start.setdefault(form[0][:SHORTEST], []).append(form)

    def near(self, text: str) -> list[tuple[str, str]]:
        """Return those that may be in the text, the longest first."""
        if len(text) > 16 * len(self._all):
            return [form for form in self._all if form[0] in text]
        starts = {text[at : at + SHORTEST] for at in range(len(text) - SHORTEST + 1)}
        found = [form for start in starts & self._by_start.keys() for form in self._by_start[start]]
        return sorted(found, key=lambda form: -len(form[0]))


def exact_forms(value: str) -> set[str]:
    """Return a secret as texts show it: plain, percent-encoded, as JSON and HTML escape it, in base64.

    JSON comes in several styles: with and without ASCII only, with ``\\/`` (PHP), with ``\\u0026`` for
    ``&``, ``<`` and ``>`` (Go). Base64 has three forms: by where the secret begins in what was encoded.
    """
    percent = {quote(value, safe=""), quote(value), quote_plus(value)}
    plain, ascii_only = json.dumps(value, ensure_ascii=False)[1:-1], json.dumps(value)[1:-1]
    json_forms = {plain, ascii_only, plain.translate(_GO), ascii_only.translate(_GO)}
    encoded = base64.b64encode(value.encode(errors="surrogatepass")).decode().rstrip("=")
    return {
        value,
        html.escape(value),
        *percent,
        *(re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in percent),
        *json_forms,
        *(form.replace("/", "\\/") for form in json_forms),
        encoded,
        encoded.translate(_URL_SAFE),
        *_within_base64(value),
    }


def _within_base64(value: str) -> set[str]:
    """Return the part of a secret's base64 that does not depend on what surrounds it."""
    raw = value.encode(errors="surrogatepass")
    forms = set()
    for before in range(3):
        whole = base64.b64encode(bytes(before) + raw).decode()
        # A character holds six bits; those shared with a neighbour are left out.
        stable = whole[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        if len(stable) >= 8:
            forms |= {stable, stable.translate(_URL_SAFE)}
    return forms


def any_case(value: str) -> set[str]:
    """Return what is searched ignoring case: runs, also reversed, and hex."""
    runs = {run.lower() for run in RUN.findall(value)}
    return {*runs, *(run[::-1] for run in runs), value.encode(errors="surrogatepass").hex()}


# Compiled where it is needed: hardly any answer escapes, and thousands take a second.
@lru_cache(maxsize=4096)
def escaped(value: str) -> re.Pattern[str] | None:
    """Return a pattern of the secret in which every sign may be escaped; None where none would be."""
    if len(value) > _ESCAPABLE or (value.isascii() and value.isalnum()):
        return None
    return re.compile("".join(map(_sign, value)), re.IGNORECASE)


def undone(text: str) -> str:
    """Return a text with escaped letters, separators in hex, and line breaks in base64 undone."""
    if any(sign in text for sign in "\\%&="):
        text = _LETTER.sub(_letter, text)
    drawn = text.encode("ascii", "replace").translate(_DRAWN)
    if any(bytes_ in drawn for bytes_ in _BYTES):  # hardly any text has them, and the pattern is slow
        text = _HEX.sub(lambda found: found[0].lower().replace("0x", "").translate(_BETWEEN), text)
    return _BASE64_LINES.sub("", text)


def _letter(found: re.Match[str]) -> str:
    for number, base in ((1, 16), (2, 8), (3, 16), (4, 16), (5, 16), (6, 10)):
        if found[number] is not None:
            return chr(int(found[number], base))
    return found[0]


def _sign(sign: str) -> str:
    if sign.isascii() and sign.isalnum():
        return sign
    code, raw = ord(sign), sign.encode(errors="surrogatepass")
    units = sign.encode("utf-16-be", "surrogatepass").hex()
    names = [f"&{codepoint2name[code]};"] if code in codepoint2name else ["&apos;"] if sign == "'" else []
    forms = [
        re.escape(sign),
        "".join(rf"\\{{0,8}}u{units[at : at + 4]}" for at in range(0, len(units), 4)),
        rf"\\{{0,8}}u0000{code:04x}" if code < 0x10000 else rf"\\{{0,8}}u{code:08x}",
        *([rf"\\{{0,8}}x{code:02x}"] if code < 0x100 else []),
        rf"u\{{0{{0,6}}{code:x}\}}",
        "".join(rf"\\{{0,8}}x{byte:02x}" for byte in raw),
        "".join(f"%(?:25){{0,4}}{byte:02x}" for byte in raw),
        "".join(f"={byte:02x}" for byte in raw),
        *(rf"&(?:amp;){{0,4}}{name[1:]}" for name in names),
        rf"&(?:amp;){{0,4}}#0{{0,6}}{code};",
        rf"&(?:amp;){{0,4}}#x0{{0,6}}{code:x};",
        *([r"\+"] if sign == " " else []),
        *({"\n": ["n"], "\t": ["t"], "\r": ["r"]}.get(sign, [])),
    ]
    return rf"\\{{0,8}}(?:{'|'.join(forms)})"
