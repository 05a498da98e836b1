"""The first look at a chunk's lines: which to decode, which to drop, which only `decode` can judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set

from pipeline.decode.glance.glance import NOT_SEEN, Stub, Wants, is_good, names_native, read_any, read_native
from pipeline.decode.raw import strict
from pipeline.decode.raw.sizes import too_large

_TRIAL = 16
"""After this many lines of a chunk it is decided whether the first look pays."""


def find_unusual(
    lines: Sequence[bytes | None], known: Iterable[int], most: int
) -> tuple[set[int], dict[int, str]]:
    """Return the lines that only decode can judge, by their text or their surroundings (``known``).

    And of these, the lines of more than ``most`` bytes, with the reason. The whole chunk's text is checked
    first, which is cheap.
    """
    found = {at for at, line in enumerate(lines) if line is None} if None in lines else set()
    found.update(known)
    present = [line for line in lines if line is not None]
    text = b"\n".join(present)
    large: dict[int, str] = {}
    if len(text) > most:
        for at, line in enumerate(lines):
            if line is not None and (fault := too_large(line, most)) is not None:
                large[at] = fault
        found.update(large)
    if strict.has_surrogates(text) or not strict.is_utf8(text):
        doubtful: Callable[[bytes], bool] = strict.is_doubtful
    elif max(map(len, present), default=0) > strict.SHALLOW_BYTES:
        doubtful = strict.may_be_deep
    else:
        return found, large
    found.update(at for at, line in enumerate(lines) if line is not None and doubtful(line))
    return found, large


def find_left(
    lines: Sequence[bytes | None],
    unusual: Set[int],
    wants: Wants,
    glance: Callable[[Stub, Wants], bool] | None,
    look: Callable[[bytes, Wants], bool] | None,
    *,
    may_be_native: bool,
) -> Sequence[int]:
    """Return the lines left to decode, skipping valid events that nobody wants.

    glance, look: those of the lines' shape.
    """
    left: list[int] = []
    verdicts: dict[str, bool] = {}
    for at, line in enumerate(lines):
        if line is not None and at not in unusual:
            try:
                if may_be_native and names_native(line):
                    seen = read_native(line)
                    name = seen.name
                    if seen.kind:
                        wanted: bool | None = wants(name, seen.kind)
                    else:
                        wanted = verdicts.get(name)
                        if wanted is None:
                            wanted = verdicts[name] = wants(name, "track")
                    if not wanted and is_good(seen):
                        continue
                elif glance is not None:
                    if glance(read_any(line), wants):
                        continue
                elif look is not None and look(line, wants):
                    continue
            except NOT_SEEN:
                pass  # decode reports what is wrong with it
        left.append(at)
        if at >= _TRIAL and len(left) * 2 > at:
            # Most of this stream is wanted: the look costs more than it saves.
            return [*left, *range(at + 1, len(lines))]
    return left
