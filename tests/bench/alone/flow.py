"""The whole flow without HTTP: source, decode, select, identity, join, match, render, outbox, commits.

    python -m tests.bench.alone.flow [--records 200000] [--firing 1.0] [--rounds 3] [--profile]

In this process, with an engine that delivers at once on the worker's thread; CPU of the process per record.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bytewax.recovery import RecoveryConfig

from pipeline.compile.snapshot import compile_config
from pipeline.compile.versions import Versions
from pipeline.config.files import read_config
from pipeline.config.job import load_pipeline
from pipeline.deliver.halts import Halts
from pipeline.job.assembly import Job
from pipeline.job.flow import build_flow
from pipeline.job.settings import JobSettings
from pipeline.outbox.handover import Delivery, Outcome, Result, Room
from pipeline.runtime.process import GC_THRESHOLD
from pipeline.runtime.readers import make_readers
from pipeline.runtime.state.recovery import prepare_recovery
from tests.bench.measure import machine
from tests.bench.streams.candidates import make_config, make_stream


class AtOnce:
    """Delivers everything at once."""

    delivered = 0
    orders: Any = SimpleNamespace(let_look=lambda look: None)

    def accepts(self, webhook_id: str) -> Room:
        """Return that there is always room."""
        return Room.SOME

    def submit(self, deliveries: list[Delivery]) -> None:
        """Post a result for each."""
        self.delivered += len(deliveries)
        deliveries[0].port.post([Result(delivery, Outcome.DELIVERED) for delivery in deliveries], 0)

    def is_drained(self) -> bool:
        """Return True: nothing is ever left."""
        return True

    def busy(self) -> bool:
        """Return False: it never is."""
        return False

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **more: None


def run(folder: Path, stream: Path, firing: float) -> float:
    """Run the flow once on an empty state and return its CPU seconds."""
    from bytewax._bytewax import run_main

    config_dir = make_config(folder, "http://127.0.0.1:9", stream)
    config = load_pipeline(config_dir).require()
    snapshot = compile_config(read_config(config_dir, defaults=config.defaults), secrets=None).require()
    prepare_recovery(config.state / "recovery")
    engine: Any = AtOnce()
    settings = JobSettings(config.state, config.file.shards, finite=True)
    versions = Versions(config.state / "versions", snapshot, engine.configure)
    job = Job(settings, make_readers(config), versions, engine, Halts(config.state))
    flow = build_flow(job)
    # As the job does.
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)
    begun = time.process_time()
    run_main(
        flow,
        epoch_interval=timedelta(seconds=1),
        recovery_config=RecoveryConfig(str(config.state / "recovery")),
    )
    spent = time.process_time() - begun
    job.stores.close()
    return spent


def main() -> None:
    """Print CPU per record, or a profile."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--firing", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hookline-flow-") as name:
        stream = make_stream(Path(name), chosen.firing, chosen.records, 5_000)
        spent = []
        for number in range(1 if chosen.profile else chosen.rounds):
            folder = Path(name) / str(number)
            folder.mkdir()
            if chosen.profile:
                profile = cProfile.Profile()
                profile.runcall(run, folder, stream, chosen.firing)
                pstats.Stats(profile).sort_stats("tottime").print_stats(40)
            else:
                spent.append(run(folder, stream, chosen.firing))
    if spent:
        print(machine())
        per_record = statistics.median(spent) / chosen.records * 1e6
        print(
            f"flow without HTTP, {chosen.firing:.0%} of {chosen.records:,} firing: "
            f"{per_record:.1f} us CPU per record"
        )


if __name__ == "__main__":
    main()
