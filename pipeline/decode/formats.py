"""Which shape reads which line: by topic, by file, or the default."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePath

from pipeline.decode.auto import AUTO
from pipeline.decode.collected import is_collected
from pipeline.decode.decode import COLLECTED
from pipeline.decode.shape import Shape
from pipeline.model.records import topic_of

_LATER = re.compile(r"~[0-9]{1,9}$")
"""Suffix of a followed file's later generations after rotation (sources/files/reading/lives.py)."""
Sources = str | list[str]
Parts = str | list[str | None] | None


@dataclass(slots=True, frozen=True, eq=False)
class Formats:
    """The shapes of one config version."""

    default: Shape = AUTO
    topics: Mapping[str, Shape] = field(default_factory=dict)
    files: Mapping[str, Shape] = field(default_factory=dict)
    """By the path as written in pipeline.yaml."""
    named: Mapping[str, Shape] = field(default_factory=dict)
    """Custom shapes by name."""
    others: Shape | None = None
    """For files that pipeline.yaml does not name, where all named ones have one shape."""
    collected: Shape = COLLECTED
    """For lines of a collector's recording."""
    _known: dict[tuple[str, str | None], Shape] = field(default_factory=dict)

    def of(self, source: str, part: str | None = None) -> Shape:
        """Return the shape of a line by its origin's source and, for a file, by the path that names it.

        A recorded message belongs to the topic it was read from, whatever file holds it; a collector's line
        itself says how it is read. A source without a part is a file of that name: in a recording, a dead
        letter, a flag.
        """
        found = self._known.get((source, part))
        if found is None:
            found = self._topic(source) or self._collector(source)
            found = found or self._file(source, part) or self.default
            self._known[source, part] = found
        return found

    def names(self, source: str) -> bool:
        """Return whether pipeline.yaml gives this topic or file a format of its own.

        A collector's lines say it themselves.
        """
        return (self._topic(source) or self._collector(source) or self._file(source, None)) is not None

    def all(self) -> list[Shape]:
        """Return every shape in use, the default first."""
        return list(dict.fromkeys([self.default, *self.topics.values(), *self.files.values()]))

    @property
    def have_registries(self) -> bool:
        """True where some records name schemas of a registry."""
        return any(shape.frame is not None and shape.frame.registry is not None for shape in self.all())

    def _file(self, source: str, part: str | None) -> Shape | None:
        if part is not None or not self.files:
            return self.files.get(part or "")
        name = PurePath(source).name
        called = {name, _LATER.sub("", name)}
        found = {
            shape
            for path, shape in self.files.items()
            if any(fnmatchcase(one, PurePath(path).name) for one in called)
        }
        return found.pop() if len(found) == 1 else self.others  # of two with the same name neither is known

    def _collector(self, source: str) -> Shape | None:
        return self.collected if is_collected(source) else None

    def _topic(self, source: str) -> Shape | None:
        return self.topics.get(topic_of(source) or "") if self.topics else None

    def runs(self, sources: Sources, parts: Parts, lines: int) -> Iterator[tuple[int, int, Shape]]:
        """Yield the stretches of a chunk read by one shape: (first line, line after the last, shape)."""
        if isinstance(sources, list) and sources and sources.count(sources[0]) == lines:
            sources = sources[0]  # the usual case: files or topics are not merged
        names = {sources} if isinstance(sources, str) else set(sources)
        if not self.topics and not self.files and not any(map(is_collected, names)):
            yield 0, lines, self.default
            return
        if isinstance(sources, str) and not isinstance(parts, list):
            yield 0, lines, self.of(sources, parts)
            return
        of_source: Sequence[str] = [sources] * lines if isinstance(sources, str) else sources
        of_part: Sequence[str | None] = parts if isinstance(parts, list) else [parts] * lines
        begin = 0
        before: Shape | None = None
        for at, (source, part) in enumerate(zip(of_source, of_part, strict=True)):
            shape = self.of(source, part)
            if shape is not before:
                if before is not None:
                    yield begin, at, before
                begin, before = at, shape
        if before is not None:
            yield begin, lines, before


ALL_AUTO = Formats()
