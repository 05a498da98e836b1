"""What a process measures about itself."""

from __future__ import annotations

import os
import resource
import time

from pipeline.telemetry import metrics

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of what `metrics.render_prometheus` returns."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STARTED = time.monotonic()


def measure_process() -> None:
    """Set the metrics of the process itself to their present values."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    metrics.gauge("process_cpu_seconds_total", usage.ru_utime + usage.ru_stime)
    metrics.gauge("up_seconds", time.monotonic() - _STARTED)
    metrics.gauge("process_resident_memory_bytes", resident_bytes())
    try:
        metrics.gauge("process_open_fds", len(os.listdir("/proc/self/fd")))
    except OSError:
        pass  # no /proc on this system


def resident_bytes() -> int:
    """Return this process's resident memory; without /proc, its maximum so far."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * _PAGE
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
