"""The process in which unsaved texts are tried keeps as much after many edits as after one."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.model.json import Value
from pipeline.operate.unsaved import bench as module
from pipeline.operate.unsaved.bench import Bench

WEBHOOK = """id: w
trigger: {{events: E, where: [{{event.properties.n: {{gte: {0}}}}}]}}
request: {{url: 'https://a.example/{0}', body: {{n: '{{{{ event.properties.n }}}}'}}}}
"""


@pytest.fixture
def melting() -> Iterator[None]:
    """What is frozen in a test is not frozen after it."""
    gc.unfreeze()
    yield
    gc.unfreeze()


def answered(question: Value) -> Value:
    return {} if "prefix" in question else None


@pytest.mark.usefixtures("melting")
def test_many_edits_leave_no_garbage_that_is_never_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "REPLACED", 300)  # a whole look takes seconds beside other tests
    file = tmp_path / "webhooks/w.yaml"
    file.parent.mkdir()
    (tmp_path / "pipeline.yaml").write_text("source: {jsonl: {paths: [a.jsonl]}}\n")
    bench = Bench(tmp_path, answered)

    def edit(number: int) -> None:
        file.write_text(WEBHOOK.format(number))
        bench.look(0)
        assert bench.before("webhooks/w.yaml") is not None

    edit(0)
    edit(1)
    before = gc.get_freeze_count()
    for number in range(2, 14):
        edit(number)
    assert gc.get_freeze_count() < before + 600  # some 1,200 where nothing looks at them
