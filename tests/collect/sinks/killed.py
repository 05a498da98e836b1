"""A collector that is killed again and again: started by test_killed.py, as a program of one thread.

Each life is a forked process that keeps batches and says on a pipe which ones it was told are kept; it is
killed at any instant. Prints all that was said, a name a line.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

from tests.collect.sinks.kit import named, opened


async def live(folder: Path, life: int, say: int) -> None:
    sink = opened(folder, segment_bytes=20_000, dedupe_secs=60.0, order_secs=0.002)

    async def client(number: int) -> None:
        for turn in range(1_000_000):
            names = [f"{life}-{number}-{turn}-{part}" for part in range(1 + number % 3)]
            await sink.keep(named(*names, page=number % 4 == 0))
            os.write(say, "".join(f"{name}\n" for name in names).encode())

    await asyncio.gather(*(client(number) for number in range(12)))


def main(folder: Path, lives: int, seed: int) -> None:
    chance = random.Random(seed)
    for life in range(lives):
        hear, say = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(hear)
            asyncio.run(live(folder, life, say))
        os.close(say)
        first = os.read(hear, 1 << 16)
        time.sleep(chance.random() * 0.06)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        rest = b""
        while data := os.read(hear, 1 << 16):
            rest += data
        os.close(hear)
        sys.stdout.write((first + rest).decode())
    # What the last one left torn is cut off by the next start.
    asyncio.run(opened(folder).close())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
