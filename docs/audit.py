"""Known faults of what the locks pin: ``make audit``.

Asks the advisories that pip-audit knows of. Where none can be reached, nothing is known: the pins are listed
with the day on which each came into its lock, so that a person can look the old ones up.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements/run.lock", "requirements/dev.lock")
TOOLS = ROOT / ".cache" / "audit"
"""A place of its own: the tool's own needs must not change what is locked."""
AUDIT = "pip-audit>=2.7,<3"
PATIENCE_SECS = 180
_PIN = re.compile(r"\t?([a-z0-9._-]+==[^\s;\\]+)")


def ask(lock: str) -> list[dict[str, object]] | None:
    """Return what pip-audit found for each package of a lock; None where it could not find out."""
    tool = TOOLS / "bin" / "pip-audit"
    if not tool.exists():
        venv.create(TOOLS, with_pip=True, clear=True)
        python = str(TOOLS / "bin" / "python")
        try:
            got = subprocess.run(
                [python, "-m", "pip", "-q", "install", AUDIT], cwd=ROOT, timeout=PATIENCE_SECS
            )
        except subprocess.TimeoutExpired:
            return None
        if got.returncode:
            return None
    words = [str(tool), "--disable-pip", "--require-hashes", "--progress-spinner", "off", "-f", "json", "-r"]
    try:
        done = subprocess.run([*words, lock], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECS)
    except subprocess.TimeoutExpired:
        return None
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        print(done.stderr.strip().rpartition("\n")[2][:300], file=sys.stderr)
        return None
    assert isinstance(found, list)
    skipped = [one.get("name") for one in found if "skip_reason" in one]
    if skipped:
        print(f"{lock}: nothing is known of {len(skipped)} of {len(found)} packages", file=sys.stderr)
    return None if 2 * len(skipped) > len(found) else found


def pins(lock: str) -> dict[str, str]:
    """Return the day on which each pin of a lock came into it; "" where git does not know."""
    blame = subprocess.run(
        ["git", "blame", "--line-porcelain", "--", lock], cwd=ROOT, capture_output=True, text=True
    )
    found: dict[str, str] = {}
    day = ""
    lines = blame.stdout.splitlines() or (ROOT / lock).read_text().splitlines()
    for line in lines:
        if line.startswith("author-time "):
            day = datetime.fromtimestamp(int(line.split()[1]), UTC).date().isoformat()
        elif pin := _PIN.match(line):
            found[pin.group(1)] = day
    return found


def main() -> int:
    """Print what was found. 0: nothing, 1: known faults, 2 (with --strict): nothing could be found out."""
    code = 0
    for lock in LOCKS:
        found = ask(lock)
        if found is None:
            print(f"{lock}: NOT AUDITED, no advisories could be reached. What is pinned, and since when:")
            for pin, day in sorted(pins(lock).items(), key=lambda one: (one[1], one[0])):
                print(f"  {day or 'unknown':<10}  {pin}")
            code = max(code, 2 if "--strict" in sys.argv[1:] else 0)
            continue
        faulty = [one for one in found if one.get("vulns")]
        print(f"{lock}: {len(found)} packages, {len(faulty)} with known faults")
        for one in faulty:
            print(f"  {json.dumps(one)}")
        code = 1 if faulty else code
    return code


if __name__ == "__main__":
    raise SystemExit(main())
