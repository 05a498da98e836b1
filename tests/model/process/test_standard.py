"""Who starts a process may have closed its input and outputs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from pipeline.model.process.standard import open_standard
open_standard()
assert sys.stdin.isatty() is False
print("said", file=sys.stdout, flush=True)
print("said", file=sys.stderr, flush=True)
kept = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.write(1, b"noise of a library")
os.write(2, b"noise of a library")
os.write(kept, b"kept")
"""


@pytest.mark.parametrize("closed", ["<&-", "</dev/null >&-", "</dev/null 2>&-", "<&- >&- 2>&-"])
def test_what_is_closed_at_the_start_takes_no_place_of_a_file(tmp_path: Path, closed: str) -> None:
    file = tmp_path / "data"
    words = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", PROGRAM, str(file)]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    assert file.read_bytes() == b"kept"


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("latin-1", b'"\xe9 \\u2713 \\ud83d\\ude00 \\udce9"\n'),
        ("ascii", b'"\\u00e9 \\u2713 \\ud83d\\ude00 \\udce9"\n'),
    ],
)
def test_what_the_outputs_encoding_lacks_is_printed_as_json_escapes_it(encoding: str, shown: bytes) -> None:
    text = '"é ✓ 😀 \udce9"'
    program = f"import pipeline.model.process.standard as s; s.own_output(); print({text!r}, flush=True)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert done.stdout == shown
    assert json.loads(done.stdout.decode(encoding)) == json.loads(text)
