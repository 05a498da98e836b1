"""Broken files of every kind: problems, never a traceback."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.compile.snapshot import compile_config
from pipeline.config.files import ConfigText
from tests.kit.examples import examples
from tests.kit.streams.samples import ROOT

WEBHOOKS = [
    path.read_text()
    for folder in ("webhooks", "examples")
    for path in sorted((ROOT / "config" / folder).glob("*.yaml"))
    if ".test" not in path.name
]
LABELS = [path.read_text() for path in sorted((ROOT / "config" / "labels").glob("*.yaml"))]
SNIPPETS = [
    *"{}[]:,#&*!|>'\"%@` \n\t-?$\\5.~",
    "{{",
    "}}",
    "{%",
    "${",
    "null",
    "true",
    "\n  ",
    "- ",
    "event.",
]
SNIPPETS += ["{a: 1}", "[1]", "\N{GRINNING FACE}", "\x00", "$if", "$for", "$spread", "9" * 30]


@st.composite
def mutated(draw: st.DrawFn, texts: list[str]) -> str:
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(st.sampled_from(["", *SNIPPETS])) + text[end:]
    return text


@settings(max_examples=examples(150), deadline=None)
@given(mutated(WEBHOOKS), mutated(LABELS))
def test_no_edit_makes_the_compiler_fail(webhook: str, label: str) -> None:
    files = {"webhooks/a.yaml": webhook, "labels/l.yaml": label, "lists/free-mail.txt": "gmail.com\n"}
    report = compile_config(ConfigText(files), secrets=None)
    assert (report.snapshot is None) == bool(report.errors)
    assert bool(report.render()) == bool(report.findings)
