"""A Kafka broker for trying things out by hand, also by this file's path, from anywhere:

python tests/kafka/broker.py up [--port 9092] [--dir .demo/kafka]   start it, return when ready
python tests/kafka/broker.py down [--dir .demo/kafka]               stop it; its data is kept
python tests/kafka/broker.py run [--port 9092] [--dir .demo/kafka]  the same in the foreground
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.kafka.servers.broker import POM, NoBroker, down, up


def main(arguments: list[str]) -> int:
    """Run the command described at the top."""
    parser = argparse.ArgumentParser(prog="broker.py", description="A Kafka broker for trying things out.")
    parser.add_argument("verb", choices=["up", "down", "run"])
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--dir", type=Path, default=POM.parents[2] / ".demo" / "kafka")
    options = parser.parse_args(arguments)
    directory: Path = options.dir.resolve()
    if options.verb == "down":
        print("stopped" if down(directory) else "no broker runs here", file=sys.stderr)
        return 0
    try:
        broker = up(directory, options.port, detach=options.verb == "up")
    except NoBroker as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 1
    print(f"Kafka is ready at {broker.address}", file=sys.stderr)
    if options.verb == "run":
        assert broker.process is not None
        try:
            return broker.process.wait()
        except KeyboardInterrupt:
            broker.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
