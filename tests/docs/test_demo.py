"""The two commands of the README."""

from __future__ import annotations

from pathlib import Path

from tests.kit.tour import ROOT, run, script


def test_the_demo_ends_with_every_request_at_the_receiver(tmp_path: Path):
    for folder in ("config", "recordings", "docs"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    # `make test` is what runs this; `make run` sets up .venv and then calls the program.
    done = run(script("demo"), tmp_path, {"make run": "hookline demo", "make test": "true"})
    assert done.returncode == 0, done.stderr
    assert "12,000 records read" in done.stdout + done.stderr
    assert "189 with a good signature" in done.stdout + done.stderr
    assert (tmp_path / ".demo" / "arrived.jsonl").stat().st_size > 100_000


def test_make_run_calls_that_program():
    assert "hookline demo" in (ROOT / "Makefile").read_text()
