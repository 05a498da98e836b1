"""The first look at a chunk's lines: which to decode, which to drop, which only `decode` can judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set

from pipeline.decode.glance.glance import NOT_SEEN, Stub, Wants, left_of_natives, names_native, read_any
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
    begin = 0
    for end in (min(_TRIAL, len(lines)), len(lines)):
        run = [line or b"" for line in lines[begin:end]]
        for at in unusual:
            if begin <= at < end:
                run[at - begin] = b""  # left to decode
        are_native = may_be_native and 2 * sum(map(names_native, run[:_TRIAL])) > min(len(run), _TRIAL)
        for at in left_of_natives(run, wants) if are_native else range(len(run)):
            line = run[at]
            try:
                if may_be_native and names_native(line):
                    is_left = are_native or bool(left_of_natives([line], wants))
                elif glance is not None:
                    is_left = not glance(read_any(line), wants)
                else:
                    is_left = look is None or not look(line, wants)
            except NOT_SEEN:
                is_left = True  # decode reports what is wrong with it
            if is_left:
                left.append(begin + at)
        if 2 * len(left) > end:
            # Most of this stream is wanted: the look costs more than it saves.
            return [*left, *range(end, len(lines))]
        begin = end
    return left
