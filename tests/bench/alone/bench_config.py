"""Prints what checking a config costs: ``python -m tests.bench.alone.bench_config``.

Columns: how many webhooks, seconds to read and to compile them, and CPU seconds of a whole `hookline check`
(process start included, the best of three).
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.compile.snapshot import compile_config
from pipeline.config.files import read_config

EXAMPLES = Path(__file__).resolve().parents[3] / "config" / "examples"


def write(base: Path, count: int) -> None:
    """Write that many webhooks, the examples over and over under new ids."""
    texts = [path.read_text() for path in sorted(EXAMPLES.glob("*.yaml")) if ".test" not in path.name]
    (base / "webhooks").mkdir(parents=True)
    for number in range(count):
        lines = texts[number % len(texts)].splitlines()
        lines = [f"id: w{number}" if line.startswith("id:") else line for line in lines]
        (base / "webhooks" / f"w{number}.yaml").write_text("\n".join(lines) + "\n")


def whole_check(base: Path) -> float:
    """Return the CPU seconds of one `hookline check`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pipeline.cli", "check", "--offline", "-c", str(base)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Print the table."""
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores")
    print(f"{'webhooks':>8}  {'read s':>7}  {'compile s':>9}  {'check, CPU s':>12}")
    for count in (1, 20, 2000):
        with tempfile.TemporaryDirectory() as folder:
            base = Path(folder) / "config"
            write(base, count)
            started = time.perf_counter()
            text = read_config(base, environ={})
            read = time.perf_counter() - started
            started = time.perf_counter()
            compile_config(text, secrets=None).require()
            compiled = time.perf_counter() - started
            check = min(whole_check(base) for _ in range(3))
            print(f"{count:>8}  {read:>7.3f}  {compiled:>9.3f}  {check:>12.2f}")


if __name__ == "__main__":
    main()
