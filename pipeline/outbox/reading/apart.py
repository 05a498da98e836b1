"""Reads whole stores in another process: a damaged page makes LMDB abort that process, not this one."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from pipeline.model.errors import HooklineError
from pipeline.outbox.codec import unpack_dead, unpack_number, unpack_owed, unpack_result
from pipeline.store.environment import REMEDY
from pipeline.store.reading import reading
from pipeline.store.rows import Table

READERS: dict[Table, Callable[[bytes], object]] = {
    Table.OUTBOX: unpack_owed,
    Table.DEAD: unpack_dead,
    Table.FINISHED: unpack_result,
    Table.COUNTERS: unpack_number,
}
"""The tables whose rows can be decoded by themselves; of the others only every byte is read."""

MOST_NAMED = 1000
"""Damaged rows listed per table; more are only counted."""


@dataclass(slots=True)
class Checked:
    """The findings of one store."""

    store: Path
    rows: int = 0
    seq: int = 0
    """How many epochs were committed, if the store can be read at all."""
    runs: Sequence[str] = ("", "")
    """Who committed the last one, and the one before."""
    problems: list[str] = field(default_factory=list)


def check_stores(stores: Sequence[Path]) -> Iterator[Checked]:
    """Read every row of these stores, one store after another."""
    left = list(stores)
    while left:
        for found in _answers(left):
            yield found
            left.remove(found.store)
            if not left:
                return
        # No answer: the first remaining store has killed the process.


def _answers(stores: Sequence[Path]) -> Iterator[Checked]:
    words = [sys.executable, "-P", "-m", __name__, *map(str, stores)]
    answered = 0
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                said = orjson.loads(line)
                yield Checked(**{**said, "store": Path(said["store"])})
                answered += 1
        finally:
            process.kill()
    if answered < len(stores):
        yield Checked(stores[answered], problems=[f"{stores[answered]}: {_end(process.returncode)}"])


def _end(code: int) -> str:
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"the store is damaged so that reading it ends the process ({how}). {REMEDY}"


def check_store(path: Path) -> Checked:
    """Read every row of a store in this process."""
    found = Checked(path)
    try:
        with reading(path) as store:
            found.seq, found.runs = store.seq, store.runs
            for table in Table:
                wrong = 0
                for key, value in store.every(table) if table is not Table.META else ():
                    found.rows += table is not Table.UNDO
                    said = _wrong(table, value)
                    wrong += bool(said)
                    if said and wrong <= MOST_NAMED:
                        found.problems.append(f"{path}: table {table.name.lower()}, key {key!r}: {said}")
                if wrong > MOST_NAMED:
                    more = wrong - MOST_NAMED
                    found.problems.append(f"{path}: table {table.name.lower()}: {more} damaged rows more")
    except HooklineError as error:
        said = str(error)
        found.problems.append(said if str(path) in said else f"{path}: {said}")
    return found


def _wrong(table: Table, value: bytes | None) -> str:
    if value is None:
        return "damaged"
    read = READERS.get(table)
    if read is not None:
        try:
            read(value)
        except Exception as error:
            return str(error) or type(error).__name__
    return ""


def main(words: Sequence[str]) -> None:
    """Print a line for each store as soon as it is read."""
    for word in words:
        sys.stdout.buffer.write(orjson.dumps(check_store(Path(word)), default=str) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
