"""Checks everything in a state directory, including faults that a start would not notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.compile.versions import read_text
from pipeline.deliver.halts import Halts, read_halt
from pipeline.job.left_requests import left_for, read_left
from pipeline.job.steps.history import HIGH, SWITCHES, parse_switches, read_high, read_switches
from pipeline.job.steps.source import position_of
from pipeline.model.errors import Fatal, HooklineError, StateError
from pipeline.model.process.private import require_sight
from pipeline.outbox.journal import generations
from pipeline.outbox.reading.apart import check_stores
from pipeline.outbox.reading.view import stores
from pipeline.runtime.state.directory import META, describe
from pipeline.runtime.state.missing import GONE, Tokens, epochs
from pipeline.runtime.state.recovery import read_tokens, sound
from pipeline.sources.files.reading.heads import FILE as HEADS
from pipeline.sources.files.reading.heads import read_heads
from pipeline.sources.topics.began import FILE as BEGAN
from pipeline.sources.topics.began import read_began
from pipeline.sources.topics.merging.trail import FILE, read_head
from pipeline.store.environment import ONE_BACKUP, OTHERS_EPOCH
from pipeline.store.folders import source_folder, store_folders


@dataclass(slots=True)
class Findings:
    """What was checked, and what is wrong: one sentence each, with its place and the remedy."""

    stores: int = 0
    rows: int = 0
    problems: list[str] = field(default_factory=list)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Record an error raised in this block as a problem; let a fault of the machine (Fatal) pass."""
        try:
            yield
        except Fatal:
            raise
        except HooklineError as error:
            self.problems.append(str(error))

    def each(self, read: Callable[[Path], object], paths: list[Path]) -> None:
        """Read files, each of which may be damaged or gone by now."""
        for path in paths:
            with self.noted():
                try:
                    read(path)
                except FileNotFoundError:
                    pass  # a running job no longer needs it


def check_directory(state: Path) -> Findings:
    """Check all of a state directory, even beside a running job; stores are read in another process.

    Raises StateError where there is none, ClosedState where this user may not read it, Fatal where the
    machine cannot (a full disk).
    """
    require_sight(state)
    if not any((state / name).exists() for name in (META, "recovery", "shards", "versions")):
        stores(state)
    found = Findings()
    with found.noted():
        if describe(state) is None:
            raise StateError(f"{state / META}: is gone; the next start writes it.")
    tokens = _tokens(state, found)
    _check_stores(state, tokens, found)
    for partition, token in (tokens or {}).get("source", {}).items():
        with found.noted():
            _check_source(state, source_folder(state, partition), position_of(token)[1], found)
    found.each(read_text, sorted(state.glob("versions/*.config")))
    found.each(read_halt, Halts(state).files())
    for folder in sorted(state.glob("shards/*")):
        found.each(read_left, left_for(folder))
        with found.noted():
            generations(folder / "journal")
    return found


def _tokens(state: Path, found: Findings) -> Tokens | None:
    """Return what Bytewax would resume from, None where it cannot be read."""
    with found.noted():
        folder = state / "recovery"
        parts = sorted(folder.glob("part-*.sqlite3"))
        sound(folder, parts)
        return read_tokens(folder)
    return None


def _check_stores(state: Path, tokens: Tokens | None, found: Findings) -> None:
    known = epochs(state, tokens or {})
    paths = store_folders(state)
    found.stores = len(paths)
    found.problems += [f"{path}: {GONE}" for path in sorted(known.keys() - set(paths)) if known[path][0]]
    checked = list(check_stores(paths))
    # A running job may have moved on meanwhile.
    later = epochs(state, _tokens(state, Findings()) or {})
    for one in checked:
        found.rows += one.rows
        found.problems += one.problems
        (least, *run), (last, *_) = known.get(one.store, [0]), later.get(one.store, [0])
        if tokens is None or one.problems:
            continue
        if one.seq in (least, least + 1) and run and run[0] not in ("", one.runs[one.seq - least]):
            found.problems.append(f"{one.store}: {OTHERS_EPOCH} {ONE_BACKUP}")
        elif not least <= one.seq <= last + 1:
            what = GONE if one.seq == 0 else (
                f"the store is at epoch {one.seq}, but the recovery store says {least}; they do not belong "
                "together. Restore the whole state directory from one backup."
            )  # fmt: skip
            found.problems.append(f"{one.store}: {what}")


def _check_source(state: Path, folder: Path, line: int, found: Findings) -> None:
    checks: tuple[int, ...] = ()
    with found.noted():
        checks = read_high(folder / HIGH, needed=line > 0).switches
    with found.noted():
        path = folder / SWITCHES
        switches = parse_switches(path, read_switches(path, checks, needed=line > 0))
        # Positions before the line are not needed by anybody and may be deleted.
        past = sum(number <= line for number, _ in switches) - 1
        for _, version in switches[max(0, past) :]:
            if not (state / "versions" / f"{version}.config").exists():
                raise StateError(
                    f"{path}: names the config version {version[:12]}, which is not in versions/. Restore "
                    "the whole state directory from one backup."
                )
    found.each(read_heads, [folder / HEADS])
    found.each(read_head, [folder / FILE])
    found.each(read_began, [folder / BEGAN])
