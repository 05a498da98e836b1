"""What SDKs do with what they are told: some refusals are for good, and too large a batch is halved."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tests.collect.sdks.clients import program
from tests.kit.collector import Collector
from tests.kit.programs.run import until

_REFUSED = re.compile(r'^hookline_collect_refused_total\{reason="(\w+)"\} (\d+)', re.MULTILINE)


def test_too_large_a_batch_is_given_up_at_once_or_halved_and_an_unknown_key_is_not_repeated(tmp_path: Path):
    limits = "  limits: {body: 8KiB, member: 8KiB}"
    with Collector(tmp_path, more=limits) as collector:

        def send(language: str, name: str, key: str, events: int) -> list[str]:
            words = (name, collector.url, key, f"{name}-{key}-", 1, events)
            failed: list[str] = program(language, "servers", *words)["failed"]
            return failed

        def refused() -> dict[str, int]:
            return {reason: int(number) for reason, number in _REFUSED.findall(collector.metrics())}

        # This one knows no smaller batches: it says so after one request, where ten would be its habit.
        assert ["413" in said for said in send("py", "rudder", "wk_server", 40)] == [True]
        assert len(send("py", "rudder", "wk_other", 1)) == 1
        until(lambda: refused() == {"too_large": 1, "key": 1})
        assert send("node", "posthog", "wk_server", 60) == []
        keys = Counter(line["key"] for line in collector.lines())
        assert keys == {"posthog-wk_server-0": 61}
        assert not any(b"wk_" in line.replace(b"wk_server-0", b"") for line in collector.raw_lines())
        assert "wk_other" not in collector.said
