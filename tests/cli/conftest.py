"""Runs the command line in this process, as a person would type it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

import orjson
import pytest

from pipeline.cli.app import run
from pipeline.model.json import Value


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Value:
        return orjson.loads(self.out)


Hookline = Callable[..., Said]


@pytest.fixture
def hookline(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Hookline:
    """Run a verb and return its exit code and what it said."""
    for name in [name for name in os.environ if name.startswith("HOOKLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")

    def hookline(*words: object, columns: int | None = None) -> Said:
        if columns is not None:
            monkeypatch.setenv("COLUMNS", str(columns))
        capsys.readouterr()
        code = run([str(word) for word in words])
        said = capsys.readouterr()
        return Said(int(code), said.out, said.err)

    return hookline
