"""Counting from any thread, and what a scraper reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from pipeline.telemetry import metrics
from pipeline.telemetry.names import MetricName
from pipeline.telemetry.table import METRICS


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    metrics.reset()
    yield
    metrics.reset()


def test_every_name_has_its_row_and_every_row_its_name():
    assert set(get_args(MetricName)) == set(METRICS)
    assert list(get_args(MetricName)) == sorted(get_args(MetricName))


@pytest.mark.parametrize("name", METRICS)
def test_names_follow_the_prometheus_rules(name: MetricName):
    metric = METRICS[name]
    assert name.endswith("_total") == (metric.kind == "counter")
    assert (metric.kind == "histogram") == bool(metric.buckets)
    assert list(metric.buckets) == sorted(metric.buckets)
    if metric.kind == "histogram":
        assert name.endswith("_seconds")


def test_counts_from_many_threads_lose_nothing():
    def work() -> None:
        for _ in range(2_000):
            metrics.count("webhook_matched_total", webhook="a")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.read("webhook_matched_total", webhook="a") == 8_000


def test_wrong_labels_are_refused():
    with pytest.raises(TypeError, match="webhook"):
        metrics.count("webhook_matched_total")
    with pytest.raises(KeyError):
        metrics.count("webhook_matched_total", hook="a")


def test_prometheus_text_has_help_type_labels_and_escapes():
    metrics.count("dead_letters_total", 2, webhook='a"b\\c\nd', reason="max-age")
    text = metrics.render_prometheus()
    assert "# TYPE hookline_dead_letters_total counter" in text
    assert r'hookline_dead_letters_total{webhook="a\"b\\c\nd",reason="max-age"} 2' in text
    assert "# TYPE process_open_fds gauge" in text
    assert text.endswith("\n")


def test_a_histogram_is_cumulative_and_ends_with_inf():
    for secs in (0.0004, 0.001, 0.002, 100.0):
        metrics.observe("state_commit_seconds", secs)
    lines = metrics.render_prometheus().splitlines()
    buckets = [
        line.rsplit(" ", 1) for line in lines if line.startswith("hookline_state_commit_seconds_bucket")
    ]
    counts = [int(value) for _, value in buckets]
    assert counts == sorted(counts)
    assert counts[:3] == [1, 2, 3]
    assert buckets[-1] == ['hookline_state_commit_seconds_bucket{le="+Inf"}', "4"]
    assert "hookline_state_commit_seconds_count 4" in lines
    assert "hookline_state_commit_seconds_sum 100.0034" in lines


def test_a_histogram_that_was_counted_elsewhere_is_taken_over():
    metrics.observe("delivery_latency_seconds", 50.0, webhook="a")
    metrics.set_histogram("delivery_latency_seconds", {0.004: 3, 0.2: 1}, webhook="a")
    lines = metrics.render_prometheus().splitlines()
    assert 'hookline_delivery_latency_seconds_bucket{webhook="a",le="0.005"} 3' in lines
    assert 'hookline_delivery_latency_seconds_count{webhook="a"} 4' in lines
    assert metrics.read("delivery_latency_seconds", webhook="a") == pytest.approx(0.212)


PIPELINE = Path(metrics.__file__).resolve().parents[1]
ELSEWHERE = "\n".join(
    path.read_text()
    for path in PIPELINE.rglob("*.py")
    if path.name != "table.py" or path.parent.name != "telemetry"
)


@pytest.mark.parametrize("name", METRICS)
def test_a_declared_metric_is_counted_somewhere(name: MetricName):
    assert f'"{name}"' in ELSEWHERE
