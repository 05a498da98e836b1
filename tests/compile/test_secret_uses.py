"""What a config names, and who uses it: never a value."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pipeline.compile.secret_uses import Use, file_state, secret_uses
from pipeline.language.secrets import SecretRef
from pipeline.model.json import Value

HOOK: Value = {
    "vars": {"n": {"setting": "${N:-1}"}},
    "request": {
        "url": "https://${HOST}/${TOKEN}",
        "headers": {"A": "${TOKEN:-x}"},
        "body": ["${file:secrets/k}", "no ${", 5],
    },
}


def test_names_are_told_with_their_webhooks_and_whether_they_are_secrets() -> None:
    files = [("a", HOOK), ("b", {"request": {"body": "${TOKEN}"}}), (None, {"name": "L ${REGION:-eu}"})]
    found = secret_uses(files, [SecretRef("PORT"), SecretRef("N")])
    assert list(found) == sorted(found)
    assert found == {
        "HOST": Use({"a": None}, setting=True, has_default=False),
        "N": Use({"a": None}, setting=True, has_default=False),
        "PORT": Use(setting=True, has_default=False),
        "REGION": Use(setting=True),
        "TOKEN": Use({"a": None, "b": None}, secret=True, has_default=False),
        "file:secrets/k": Use({"a": None}, secret=True, has_default=False),
    }


@pytest.mark.parametrize("ahead", [-100.0, 100.0])
def test_a_file_is_told_by_its_age_and_one_that_cannot_be_read_as_such(tmp_path: Path, ahead: float) -> None:
    (tmp_path / "k").write_text("canary")
    os.utime(tmp_path / "k", (0, time.time() + ahead))
    readable, age = file_state("file:k", tmp_path)
    assert readable
    assert age is not None
    assert age == 0 if ahead > 0 else 100 <= age < 1_000
    assert file_state("file:gone", tmp_path) == (False, None)
