"""One job over two hosts, each with a state directory of its own on its own disk: two folders here."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pipeline.receiver.server import Receiver
from pipeline.runtime.processes.group import free_ports
from tests.kit.programs.jobs import Job, ids
from tests.kit.programs.run import Bench, until

USERS = 20


class Hosts:
    """Two hosts that read one stream; each has the config, too."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.receiver = receiver
        self.benches = [Bench(folder / name) for name in ("first", "second")]
        for bench in self.benches:
            bench.webhook("w", receiver.url("/w"), '  body: {n: "{{ user.properties.n }}"}\n')
        self.benches[1].stream.symlink_to(self.benches[0].stream)
        for n in range(USERS):
            self.benches[0].update(f"u{n}", n=n)
        self.written = 0

    def write(self) -> None:
        """Append an event of each user."""
        self.benches[0].append(*({"id": f"e{self.written + n}", "user_id": f"u{n}"} for n in range(USERS)))
        self.written += USERS

    @contextmanager
    def running(self, benches: Sequence[Bench] = ()) -> Iterator[list[Job]]:
        """Run the job on these hosts, the first one first."""
        found = list(benches or self.benches)
        addresses = ";".join(f"127.0.0.1:{port}" for port in free_ports(len(found)))
        with ExitStack() as stack:
            yield [
                stack.enter_context(Job(bench, "--member", f"{number}@{addresses}"))
                for number, bench in enumerate(found)
            ]

    def arrived(self, number: int) -> bool:
        """Whether so many have come in this test, each once, with what is known of its user."""
        seen = list(self.receiver.requests)
        assert max(ids(seen).values(), default=1) == 1
        assert all(json.loads(request.body)["n"] is not None for request in seen)
        return len(seen) == number

    def committed(self) -> bool:
        """Whether all that was written is counted on disk as delivered: the next start repeats none of it."""
        return sum(bench.counts("w")["delivered"] for bench in self.benches) == self.written


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Hosts:
    hosts = Hosts(tmp_path_factory.mktemp("hosts"), receiver)
    with hosts.running() as jobs:
        for _ in range(3):
            hosts.write()
            until(hosts.committed, secs=90)
        for job in jobs:
            job.send_signal(signal.SIGTERM)
        for job in jobs:
            job.ended()
    return hosts


@pytest.fixture
def copies(hosts: Hosts, tmp_path: Path) -> list[Bench]:
    """Both hosts as they are now: what goes wrong with these stays without consequences."""
    for bench in hosts.benches:
        no_sockets = shutil.ignore_patterns("*.sock")
        shutil.copytree(bench.folder, tmp_path / bench.folder.name, symlinks=True, ignore=no_sockets)
    return [Bench(tmp_path / bench.folder.name) for bench in hosts.benches]


def test_each_host_keeps_its_shards_and_a_kill_of_all_repeats_nothing_that_was_committed(hosts: Hosts):
    shards = [{path.name for path in bench.state.glob("shards/*")} for bench in hosts.benches]
    assert shards[0] | shards[1] == {"000", "001"}
    assert not shards[0] & shards[1]
    with hosts.running() as jobs:
        hosts.write()
        until(hosts.committed, secs=90)
        for job in jobs:
            job.kill()
    with hosts.running() as jobs:
        hosts.write()
        until(hosts.committed, secs=90)
        assert hosts.arrived(2 * USERS)
        for job in jobs:
            job.kill()


def test_hosts_in_another_order_or_alone_are_refused_and_send_nothing(hosts: Hosts, copies: list[Bench]):
    with hosts.running(copies[::-1]) as jobs:
        jobs[0].ended(3)
        assert "of another process than the first" in jobs[0].said
    with Job(copies[1]) as job:
        job.ended(3)
        assert "of another process than the first" in job.said
    assert hosts.arrived(0)
    copies[0].append(*({"user_id": f"u{n}"} for n in range(USERS)))
    with Job(copies[0]) as job:
        job.ended(3)
        assert "the store's files are gone" in job.said


@pytest.mark.parametrize("lost", [0, 1])
def test_a_host_whose_directory_is_gone_ends_the_job(hosts: Hosts, copies: list[Bench], lost: int):
    shutil.rmtree(copies[lost].state)
    with hosts.running(copies) as jobs:
        until(lambda: any("estore the whole state directory" in job.said for job in jobs))
        until(lambda: not any(job.runs() for job in jobs))
