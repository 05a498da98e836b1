"""Counting: cheap calls from any thread, read by Prometheus, `hookline status` and the tests.

    count("records_total", 200, kind="event")        # once per batch, beside the log line if there is one
    gauge("webhook_pending", 12, webhook="crm")
    observe("state_commit_seconds", 0.004)

Values live in this process only and start at zero with it; the accounting that survives a crash is kept
in the shards' stores (DESIGN 6, rule 8).
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence

from pipeline.telemetry.names import MetricName
from pipeline.telemetry.table import METRICS, Metric

__all__ = ["METRICS", "Metric", "MetricName", "count", "gauge", "observe", "observe_buckets"]
__all__ += ["prometheus_name", "read", "render_prometheus", "reset", "total"]

Labels = tuple[str, ...]

_lock = threading.Lock()
_values: dict[MetricName, dict[Labels, float]] = {name: {} for name in METRICS}
_buckets: dict[MetricName, dict[Labels, list[float]]] = {
    name: {} for name, metric in METRICS.items() if metric.kind == "histogram"
}


def _key(name: MetricName, labels: Mapping[str, str]) -> Labels:
    wanted = METRICS[name].labels
    if len(labels) != len(wanted):
        raise TypeError(f"metric {name} has the labels {wanted}, not {tuple(labels)}")
    if not wanted:
        return ()
    return tuple([str(labels[label]) for label in wanted])


def count(name: MetricName, n: float = 1, /, **labels: str) -> None:
    """Add to a counter. Thread-safe; about half a microsecond, so call it once per batch."""
    key = _key(name, labels)
    with _lock:
        series = _values[name]
        series[key] = series.get(key, 0) + n


def gauge(name: MetricName, value: float, /, **labels: str) -> None:
    """Set a gauge (or a counter counted elsewhere, such as CPU time) to its present value."""
    key = _key(name, labels)
    with _lock:
        _values[name][key] = value


def observe(name: MetricName, value: float, /, **labels: str) -> None:
    """Add one measurement to a histogram."""
    bounds = METRICS[name].buckets
    key = _key(name, labels)
    with _lock:
        buckets = _buckets[name].setdefault(key, [0.0] * (len(bounds) + 1))
        buckets[bisect_left(bounds, value)] += 1
        _values[name][key] = _values[name].get(key, 0) + value


def observe_buckets(name: MetricName, counts: Sequence[int], total: float, /, **labels: str) -> None:
    """Add measurements already counted in the histogram's buckets; total: their sum."""
    key = _key(name, labels)
    with _lock:
        buckets = _buckets[name].setdefault(key, [0.0] * len(counts))
        for at, n in enumerate(counts):
            buckets[at] += n
        _values[name][key] = _values[name].get(key, 0) + total


def set_histogram(name: MetricName, counts: Mapping[float, int], /, **labels: str) -> None:
    """Replace a histogram by counts made elsewhere: value to number of measurements."""
    bounds = METRICS[name].buckets
    key = _key(name, labels)
    buckets = [0.0] * (len(bounds) + 1)
    for value, n in counts.items():
        buckets[bisect_left(bounds, value)] += n
    with _lock:
        _buckets[name][key] = buckets
        _values[name][key] = sum(value * n for value, n in counts.items())


def forget(label: str, texts: Collection[str]) -> None:
    """Forget every series whose label has one of these values: what it counted no longer exists."""
    with _lock:
        for name, metric in METRICS.items():
            if label not in metric.labels:
                continue
            at = metric.labels.index(label)
            for series in (_values[name], _buckets.get(name, {})):
                for key in [key for key in series if key[at] in texts]:
                    del series[key]


def read(name: MetricName, /, **labels: str) -> float:
    """Return the value of one series, for a histogram its sum; 0 where nothing was counted yet."""
    return _values[name].get(_key(name, labels), 0)


def total(name: MetricName) -> float:
    """Return the sum over all labels."""
    with _lock:
        return sum(_values[name].values())


def reset() -> None:
    """Forget every value; for tests and for a process that runs several jobs in a row."""
    with _lock:
        for values in _values.values():
            values.clear()
        for histograms in _buckets.values():
            histograms.clear()


def prometheus_name(name: MetricName) -> str:
    """Return the name as scraped: ``hookline_`` before all but the standard ``process_`` names."""
    return name if name.startswith("process_") else f"hookline_{name}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _line(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    inside = ",".join(f'{label}="{_escape(text)}"' for label, text in labels)
    shown = repr(int(value)) if value == int(value) else repr(value)
    return f"{name}{{{inside}}} {shown}" if inside else f"{name} {shown}"


def render_prometheus() -> str:
    """Return all metrics in Prometheus' text format (version 0.0.4), in the order of the table."""
    with _lock:
        values = {name: dict(series) for name, series in _values.items()}
        buckets = {name: {key: list(b) for key, b in series.items()} for name, series in _buckets.items()}
    lines: list[str] = []
    for name, metric in METRICS.items():
        full = prometheus_name(name)
        lines += [f"# HELP {full} {metric.meaning} ({metric.unit})", f"# TYPE {full} {metric.kind}"]
        known = values[name] or ({(): 0.0} if not metric.labels and metric.kind != "histogram" else {})
        for key, value in sorted(known.items()):
            labels = list(zip(metric.labels, key, strict=True))
            if metric.kind != "histogram":
                lines.append(_line(full, labels, value))
                continue
            below = 0.0
            for bound, n in zip((*metric.buckets, None), buckets[name][key], strict=True):
                below += n
                lines.append(
                    _line(f"{full}_bucket", [*labels, ("le", f"{bound:g}" if bound else "+Inf")], below)
                )
            lines += [_line(f"{full}_sum", labels, value), _line(f"{full}_count", labels, below)]
    return "\n".join(lines) + "\n"
