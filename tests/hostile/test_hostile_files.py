"""Config files that are broken so that saying why could take for ever."""

from __future__ import annotations

import random
import re

import pytest

from pipeline.config.yaml.loader import parse_yaml
from pipeline.config.yaml.slips import split_value

pytestmark = pytest.mark.timeout(20)

_PATTERN = re.compile(
    r"""(?P<lead>\s*(?:-\s+)*(?:(?:"[^"]*"|'[^']*'|[^\s#"'{}\[\],&*!|>%@`][^#"{}\[\]]*?)\s*:\s+)?)(?P<value>\S.*?)(?P<tail>\s*(?:\s\#.*)?)$""",
    re.VERBOSE,
)
"""What a line is cut by, as a pattern: right, but slow in blanks."""


@pytest.mark.parametrize(
    "line",
    [
        "a: [" + " " * 200_000 + "x",
        "a: " + " " * 200_000 + ": b: c",
        "- " * 100_000 + "a: b: c",
        "a: {" + "{{" * 100_000,
        "a: *" + "[" * 100_000,
        "a: [" + "@" * 200_000,
        'a: "' + "x" * 200_000,
        ": " * 100_000,
        "a : " * 50_000,
        "a" + "\t" * 200_000 + ": @",
    ],
    ids=lambda line: line[:12],
)
def test_a_broken_line_is_explained_at_once(line: str):
    assert parse_yaml(f"b: 1\n{line}\nc: d: e\n", "x.yaml").findings


def test_the_scan_cuts_lines_as_the_pattern_does():
    dice = random.Random(7)
    for _ in range(20_000):
        line = "".join(dice.choices("  -:#ab\"'{[x:@", k=dice.randint(0, 12)))
        found = _PATTERN.match(line)
        assert split_value(line) == (None if found is None else found.group("lead", "value", "tail")), line
