"""The whole job beside what a user would write by hand, in one run: ``make bench``.

    python tests/bench/suite.py [--rounds 5] [--records 200000] [--only firing,latency,...]

Prints machine, versions and stream, then tables with medians and ratios. Nothing here fails for being slow.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from measure import SHOWN, Candidate, compare, machine, show, take_turns
from servers import receiver

HERE = Path(__file__).parent
PEERS = HERE / "peers"

WEBHOOK = """
id: {id}
trigger: {{events: [{event}]}}
request:
  url: {origin}/hooks/{id}
  body:
    user: "{{{{ user.id }}}}"
    plan: "{{{{ user.properties.plan }}}}"
    amount: "{{{{ event.properties.amount }}}}"
  {signature}
"""
SIGNATURE = "signature: {standard_webhooks: {secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]}}"


def make_config(folder: Path, origin: str, stream: Path, *, webhooks: int = 1, signed: bool = True) -> Path:
    """Write a config directory: one webhook on Purchase, and others on events that never come."""
    config = folder / f"config-{stream.stem}-{webhooks}-{signed}"
    (config / "webhooks").mkdir(parents=True)
    for number in range(webhooks):
        text = WEBHOOK.format(
            id=f"w{number}",
            event="Purchase" if number == 0 else f"Never {number}",
            origin=origin,
            signature=SIGNATURE if signed else "",
        )
        (config / "webhooks" / f"w{number:04d}.yaml").write_text(text)
    (config / "pipeline.yaml").write_text(
        f"source: {{jsonl: {{paths: [{stream}]}}}}\n"
        f"state: {folder / 'state'}\nnetwork: {{allow: [127.0.0.0/8]}}\n"
    )
    return config


def make_stream(folder: Path, firing: float, records: int, users: int) -> Path:
    """Write a stream of the seeded generator: the users first, then the events; return its path."""
    path = folder / f"stream-{round(firing * 100)}-{users}.jsonl"
    flags = f"--out {path} --users {users} --records {users + records} --firing {firing}"
    # In a process of its own: the memory of this one would count as that of each candidate it starts.
    command = [sys.executable, "-m", "pipeline.sources.generator", *flags.split()]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return path


def hookline(name: str, config: Path, state: Path) -> Candidate:
    """Return the job as a candidate; each run begins with an empty state directory."""
    command = [sys.executable, "-m", "pipeline.cli", "run", "-c", str(config), "--json", "--pin"]
    return Candidate(name, command, before=lambda: shutil.rmtree(state, ignore_errors=True))


def firing(folder: Path, origin: str, rounds: int, records: int) -> None:
    """Every event fires: cost of one delivery."""
    records *= 2  # so that half a second of start-up does not count
    stream = make_stream(folder, 1.0, records, 5_000)
    config = make_config(folder, origin, stream)
    url = f"{origin}/hooks/w0"
    candidates = [
        Candidate("hand-written loop", [sys.executable, str(PEERS / "loop.py"), str(stream), url]),
        hookline("hookline, everything on", config, folder / "state"),
        Candidate("per-item Bytewax", [sys.executable, str(PEERS / "per_item.py"), str(stream), url]),
    ]
    syslog = syslog_ng_candidate(folder, stream, url, records)
    if syslog is not None:
        candidates.append(syslog)
    take_turns(candidates, rounds)
    show(f"100 % of {records:,} events fire", candidates, records, "POST", against="hand-written loop")


def sparse(folder: Path, origin: str, rounds: int, records: int) -> None:
    """One event in twenty fires, and none: cost of one event."""
    for share in (0.05, 0.0):
        stream = make_stream(folder, share, records * 10, 5_000)
        config = make_config(folder, origin, stream)
        url = f"{origin}/hooks/w0"
        candidates = [
            Candidate("hand-written loop", [sys.executable, str(PEERS / "loop.py"), str(stream), url]),
            hookline("hookline, everything on", config, folder / "state"),
        ]
        take_turns(candidates, rounds)
        title = f"{share:.0%} of {records * 10:,} events fire"
        show(title, candidates, records * 10, "event", against="hand-written loop")


def webhooks(folder: Path, origin: str, rounds: int, records: int) -> None:
    """1, 20 and 1,000 webhooks, of which one fires for one event in twenty."""
    stream = make_stream(folder, 0.05, records, 5_000)
    candidates = [
        hookline(f"{count:,} webhooks", make_config(folder, origin, stream, webhooks=count), folder / "state")
        for count in (1, 20, 1000)
    ]
    take_turns(candidates, rounds)
    show(f"webhooks, {records:,} events", candidates, records, "event", against="1 webhooks")


def syslog_ng_candidate(folder: Path, stream: Path, url: str, records: int) -> Candidate | None:
    """Return syslog-ng as a candidate, None where it is not installed."""
    from servers import syslog_ng

    if syslog_ng() is None:
        print(
            "syslog-ng is not installed (Debian: syslog-ng-core syslog-ng-mod-http): left out",
            file=sys.stderr,
        )
        return None
    script = [sys.executable, str(PEERS / "syslog_ng.py"), str(stream), url, str(records)]
    return Candidate("syslog-ng, no join, no guarantee", script)


def parts(folder: Path, origin: str, rounds: int, records: int) -> None:
    """Each part alone: decode, select, join, render, then the flow without HTTP."""
    for script in ("decode", "match", "join", "render"):
        print(f"\n{script}", flush=True)
        run_script(f"bench_{script}.py")
    print("\nflow without HTTP", flush=True)
    for share in ("1.0", "0.05", "0"):
        run_script("flow.py", "--records", str(records), "--firing", share, "--rounds", str(rounds))


def latency(folder: Path, origin: str, rounds: int, records: int) -> None:
    """Event to POST from a followed file, without and with a receiver that never answers."""
    for flags in ((), ("--sick",)):
        print(f"\nevent to POST {' '.join(flags)}", flush=True)
        run_script("latency.py", *flags)


def run_script(name: str, *flags: str) -> None:
    """Run another script of this folder."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parent.parent)}
    subprocess.run([sys.executable, str(HERE / name), *flags], check=True, env=environment)


SECTIONS = {"parts": parts, "firing": firing, "sparse": sparse, "webhooks": webhooks, "latency": latency}


def main() -> None:
    """Run the sections that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--only", default=",".join(SECTIONS))
    parser.add_argument("--save", type=Path, help="write the medians to a file, as a baseline")
    parser.add_argument("--against", type=Path, help="print the ratios to such a baseline")
    chosen = parser.parse_args()
    names = ("bytewax", "orjson", "msgspec", "httptools", "uvloop", "lmdb", "aiohttp")
    print(machine())
    print(", ".join(f"{name} {version(name)}" for name in names))
    with (
        tempfile.TemporaryDirectory(prefix="hookline-bench-") as name,
        receiver(Path(name)) as (origin, what),
    ):
        print(f"receiver: {what}; medians of {chosen.rounds} rounds, candidates in turn")
        for section in chosen.only.split(","):
            folder = Path(name) / section
            folder.mkdir()
            SECTIONS[section](folder, origin, chosen.rounds, chosen.records)
    if chosen.against:
        compare(json.loads(chosen.against.read_text()), SHOWN)
    if chosen.save:
        chosen.save.parent.mkdir(parents=True, exist_ok=True)
        chosen.save.write_text(json.dumps(SHOWN, indent=1))


if __name__ == "__main__":
    main()
