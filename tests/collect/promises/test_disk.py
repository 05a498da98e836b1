"""C1, C2 and C5 on a disk that fails or is full."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.collect.promises.test_acknowledged import event, ids
from tests.kit.collector import Collector
from tests.kit.machine.file_system import FileSystem, file_system
from tests.kit.machine.preload import Machine
from tests.kit.programs.run import until


def test_a_group_whose_sync_fails_is_refused_whole_and_kept_once_when_it_comes_again(tmp_path: Path):
    machine = Machine(tmp_path / "machine")
    with Collector(tmp_path, environment=machine.environment) as collector:
        assert collector.post("/v1/events", event(1))[0] == 200
        machine.failing_disk(errno.EIO)
        status, headers, _ = collector.post("/v1/events", [event(2), event(3)])
        assert (status, int(headers["retry-after"]) >= 1) == (503, True)
        machine.failing_disk(0)

        def taken() -> bool:
            return collector.post("/v1/events", [event(2), event(3)])[0] == 200

        until(taken)
        assert collector.post("/v1/events", event(4))[0] == 200
        assert ids(collector) == {f"mark-{n}-": 1 for n in (1, 2, 3, 4)}
        assert collector.said.count("EIO") or "Input/output error" in collector.said


def test_on_a_full_disk_requests_are_refused_whole_and_taken_again_when_there_is_room(tmp_path: Path):
    with file_system(tmp_path, megabytes=64) as disk:
        if not isinstance(disk, FileSystem):
            pytest.skip(disk)
        collector = Collector(tmp_path, more="  reserve: 1KiB", collected_in=disk.folder / "collected")
        with collector:
            assert collector.post("/v1/events", event(1))[0] == 200
            filler = disk.folder / "filler"
            with filler.open("wb") as file:
                try:
                    while True:
                        file.write(b"x" * (1 << 16))
                        file.flush()
                except OSError as error:
                    assert error.errno == errno.ENOSPC  # noqa: PT017  # writing ends in no other way
            big = [event(n, properties={"text": "x" * 10_000}) for n in range(100, 130)]
            calls = [one | {"type": "track", "event": "E", "userId": "u"} for one in big]
            captured = [one | {"event": "E", "distinct_id": "u"} for one in big]
            for path, body, wanted in (
                ("/v1/events", big, 503),
                ("/v1/batch", {"writeKey": "wk_server", "batch": calls}, 429),
                ("/batch/", {"api_key": "wk_server", "batch": captured}, 503),
            ):
                status, headers, _ = collector.post(path, body)
                assert (path, status, "retry-after" in headers) == (path, wanted, True)
            assert ids(collector) == {"mark-1-": 1}
            filler.unlink()
            until(lambda: collector.post("/v1/events", big)[0] == 200)
            assert collector.post("/v1/events", event(2))[0] == 200
            assert sum(ids(collector).values()) == 32
            collector.kill()
            collector.start()
            assert sum(ids(collector).values()) == 32
            collector.kill()
