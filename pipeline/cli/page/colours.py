"""The colours of the output: few, and only where `telemetry.screen.has_colours`."""

from __future__ import annotations

import re
import sys
from typing import Final, TextIO

from pipeline.telemetry.screen import has_colours

BOLD, RED, GREEN, YELLOW, DIM, PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[2m", "\x1b[0m"
REVERSE = "\x1b[7m"
_RULES: Final = (
    (re.compile(r"(?m)^(?:error|FAILED)\b|\berror\[[a-z-]+\]|^ *✗|(?<= \| )[ \t]*\^+"), RED),
    (re.compile(r"(?m)\bwarning\[[a-z-]+\]|^note:"), YELLOW),
    (re.compile(r"(?m)^ *✓"), GREEN),
)
"""What stands out in a text: that something is wrong, doubtful, or holds."""


def painted(text: str, colour: str) -> str:
    """Return a text for standard output in a colour, if it may have one there."""
    return f"{colour}{text}{PLAIN}" if has_colours(sys.stdout) else text


def highlighted(text: str, stream: TextIO) -> str:
    """Return a text with what stands out in it in colour, if it may have any."""
    if not has_colours(stream):
        return text
    for rule, colour in _RULES:
        text = rule.sub(rf"{colour}\g<0>{PLAIN}", text)
    return text
