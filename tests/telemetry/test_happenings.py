"""What is logged and measured at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.telemetry import happenings, log, metrics
from pipeline.telemetry.happenings import Happening
from pipeline.telemetry.table import METRICS

DECLARED = {name: value for name, value in vars(happenings).items() if isinstance(value, Happening)}
ELSEWHERE = "\n".join(
    path.read_text()
    for path in Path(happenings.__file__).resolve().parents[1].rglob("*.py")
    if path.name != "happenings.py"
)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    metrics.reset()


def test_a_happening_is_one_line_of_the_log_and_one_step_of_its_metric(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    happenings.PLACE_LOST.happened(log.get("reader"), 7, partition="events/0", what="gone")
    assert metrics.read("source_skipped_total", partition="events/0") == 7
    (record,) = caplog.records
    assert (record.name, record.levelname, record.message) == ("reader", "ERROR", happenings.PLACE_LOST.text)
    assert record.fields == {"partition": "events/0", "what": "gone"}  # type: ignore[attr-defined]  # given as extra


def test_a_gauge_is_set_and_set_back() -> None:
    for _ in range(2):
        happenings.BROKERS_UNREACHABLE.happened(log.get("kafka"))
        assert metrics.read("source_unreachable") == 1
    happenings.BROKERS_BACK.happened(log.get("kafka"))
    assert metrics.read("source_unreachable") == 0


@pytest.mark.parametrize("name", DECLARED)
def test_a_declared_happening_happens_somewhere_and_its_fixed_labels_are_the_metrics_own(name: str) -> None:
    assert name in ELSEWHERE
    assert set(DECLARED[name].labels) <= set(METRICS[DECLARED[name].metric].labels)


def test_what_is_said_once_is_counted_every_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(happenings, "_silent_until", {})
    for _ in range(2):
        happenings.JOIN_MISROUTED.happened(log.get("job"), 3)
    assert metrics.read("join_misrouted_total") == 6
    assert [record.message for record in caplog.records] == [happenings.JOIN_MISROUTED.text]
