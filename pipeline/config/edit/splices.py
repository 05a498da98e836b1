"""Ways to cut and paste text for one edit; the first that yields the intended data is taken.

A way is a tuple of splices: a range of the text, and its replacement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

from pipeline.config.edit.layout import Entry, Layout, Part
from pipeline.config.edit.writing import Writer
from pipeline.model.json import Value


class Splice(NamedTuple):
    """The text from ``start`` to ``end`` becomes this."""

    start: int
    end: int
    new: str


Way: TypeAlias = tuple[Splice, ...]


def apply(text: str, way: Way) -> str:
    """Return the text with its splices, which must not overlap."""
    for start, end, new in sorted(way, reverse=True):
        text = text[:start] + new + text[end:]
    return text


# --- a value


def replacing(
    layout: Layout, part: Part, entry: Entry | None, outer: Part | None, value: Value
) -> Iterator[Way]:
    """Yield ways to replace one value by another.

    entry, outer: where it stands; None for the root.
    """
    writer = Writer(layout, layout.text, outer)
    column = outer.column if outer is not None else 0
    if (part.flow and not layout.is_hollow(part, entry)) or (outer is not None and outer.flow):
        style = part.style
        for text in dict.fromkeys((writer.inline(value, style=style), writer.inline(value, style='"'))):
            yield from _in_flow(layout, part, entry, text)
        return
    nested = isinstance(value, (dict, list)) and bool(value)
    if nested and not writer.prefers_flow(value):
        yield from _blocks(layout, writer, part, entry, outer, value)
    if part.is_block:
        yield from _collapsed(layout, part, entry, writer.inline(value))
        return
    if part.style in ("|", ">"):
        yield from _block_text(layout, writer, part, column, value)
        return
    gap = " " if entry is not None and part.start == entry.indicator else ""
    texts = [writer.value(value, column, literal=literal, style=part.style) for literal in (True, False)]
    for text in dict.fromkeys([*texts, writer.inline(value, style='"')]):
        yield (Splice(part.start, part.end, gap + text),)


def _in_flow(layout: Layout, part: Part, entry: Entry | None, text: str) -> Iterator[Way]:
    if entry is not None and entry.key is not None and part.start == part.end:
        colon = "" if layout.text[entry.indicator - 1 : entry.indicator] == ":" else ":"
        text = f"{colon} {text}"
    yield (Splice(part.start, part.end, text),)


def _blocks(
    layout: Layout, writer: Writer, part: Part, entry: Entry | None, outer: Part | None, value: Value
) -> Iterator[Way]:
    """A multi-line collection in place of any value."""
    own_lines = part.is_block or (
        entry is not None and layout.line_start(entry.indicator) != layout.line_start(part.start)
    )
    if own_lines or entry is None or entry.key is None:
        for literal in (True, False):
            text = writer.block(value, part.column, literal=literal)
            if not own_lines and outer is not None:
                text = writer.block(value, outer.column + 2, literal=literal)
            yield (Splice(part.start, part.end, text),)
    if entry is None or entry.key is None or outer is None:
        return
    for literal in (True, False):
        text = writer.after_key(value, outer.column, literal=literal)
        if part.style in ("|", ">"):
            header = layout.line_end(layout.header_end(part))
            yield (
                Splice(entry.indicator, layout.header_end(part), ""),
                Splice(header, part.end, text),
            )
        elif not own_lines:
            yield Splice(entry.indicator, part.end, ""), _insertion(layout.line_end(part.end), text)
        else:
            line_end = layout.line_end(entry.indicator)
            yield Splice(line_end, line_end, text), lines_of(layout, part.start, part.end)


def _insertion(at: int, text: str) -> Splice:
    return Splice(at, at, text)


def _collapsed(layout: Layout, part: Part, entry: Entry | None, text: str) -> Iterator[Way]:
    """One line in place of a block collection: after its key, if that is on a line above."""
    if entry is not None and not layout.begins_line(part.start):
        yield (Splice(part.start, part.end, text),)
    elif entry is not None:
        yield _insertion(entry.indicator, " " + text), lines_of(layout, part.start, part.end)
    yield (Splice(part.start, part.end, text),)


def _block_text(layout: Layout, writer: Writer, part: Part, column: int, value: Value) -> Iterator[Way]:
    """Any value in place of a literal or folded text; a comment after its header stays."""
    header, line_end = layout.header_end(part), layout.line_end(part.start)
    end = max(part.end, line_end)
    if isinstance(value, str) and "\n" in value:
        found = writer.value(value, column)
        if found[:1] == "|":
            head, body = writer.literal(value, column)
            yield Splice(part.start, header, head), Splice(line_end, end, body)
    for style in ("", '"'):
        yield (
            Splice(part.start, header, writer.value(value, column, literal=False, style=style)),
            Splice(line_end, end, ""),
        )


# --- an entry


def inserting(layout: Layout, part: Part, at: int, key: str | None, value: Value) -> Iterator[Way]:
    """Yield ways to insert an entry before the one at an index, or after the last one."""
    writer = Writer(layout, layout.text, part)
    key_style = _key_style(layout, part)
    styles = dict.fromkeys((_value_style(part), '"'))
    if part.flow:
        for style in styles:
            text = writer.inline(value, style=style)
            if key is not None:
                text = f"{writer.key(key, flow=True, style=key_style)}: {text}"
            yield from _inserting_flow(layout, writer, part, at, text)
        return
    for style in styles:
        for literal in (True, False):
            if key is not None:
                text = writer.entry(
                    key, value, part.column, literal=literal, key_style=key_style, style=style
                )
            else:
                text = writer.element(value, part.column, literal=literal, style=style)
            indent = writer.newline + " " * part.column
            if at == 0:
                # Comments above the first entry belong to it, except those at the top of the file.
                yield (_insertion(_slot(layout, part, 0, with_comments=True)[0], text + indent),)
                yield (_insertion(part.entries[0].begin, text + indent),)
            else:
                before = part.entries[at - 1].part
                yield (_insertion(layout.line_end(before.end), indent + text),)
                if before.raw_end > layout.next_line(before.end):  # blanks that belong to a text
                    yield (_insertion(before.raw_end, " " * part.column + text + writer.newline),)


def _key_style(layout: Layout, part: Part) -> str:
    quotes = {layout.text[entry.key_start] for entry in part.entries if entry.key is not None}
    return quotes.pop() if len(quotes) == 1 and quotes <= {"'", '"'} else ""


def _value_style(part: Part) -> str:
    """The quoting of the neighbouring texts, if they are all quoted alike."""
    styles = {entry.part.style for entry in part.entries if isinstance(entry.part.value, str)}
    return styles.pop() if len(styles) == 1 and styles <= {"'", '"'} else ""


def _inserting_flow(layout: Layout, writer: Writer, part: Part, at: int, text: str) -> Iterator[Way]:
    source, entries = layout.text, part.entries
    if source[part.start] not in "{[":  # `[a: b]`: a map of one pair without its braces
        pair = f"{{{text}, " if at == 0 else "{"
        yield (
            Splice(part.start, part.start, pair),
            Splice(part.end, part.end, "}" if at == 0 else f", {text}}}"),
        )
        return
    if not entries:
        inner = source[part.start + 1 : part.end - 1]
        if inner.strip():
            yield (_insertion(part.start + 1, text),)
            yield (_insertion(part.start + 1, text + writer.newline),)
        yield (Splice(part.start + 1, part.end - 1, text),)
        return
    if at < len(entries):
        begin = entries[at].begin
        if layout.begins_line(begin):
            indent = source[layout.line_start(begin) : begin]
            yield (_insertion(begin, f"{text},{writer.newline}{indent}"),)
        yield (_insertion(begin, f"{text}, "),)
        return
    last = entries[-1]
    comma = layout.skip(last.end)
    trailing = source[comma] == ","
    if layout.begins_line(last.begin):
        new_line = writer.newline + source[layout.line_start(last.begin) : last.begin] + text
        after = comma + 1 if trailing else last.end
        if source[layout.skip(after)] in "}]" and layout.skip(after) > layout.line_end(after):
            end = layout.line_end(after)
            yield (
                (_insertion(end, f"{new_line},"),)
                if trailing
                else (_insertion(last.end, ","), _insertion(end, new_line))
            )
    if trailing:
        yield (_insertion(comma + 1, f" {text},"),)
    yield (_insertion(last.end, f", {text}"),)


def deleting(layout: Layout, part: Part, at: int, entry: Entry | None) -> Iterator[Way]:
    """Yield ways to remove an entry from a collection. entry: the collection's, None for the root."""
    one = part.entries[at]
    if part.flow:
        yield from _deleting_flow(layout, part, at)
    elif len(part.entries) == 1:
        yield from _collapsed(layout, part, entry, "{}" if part.kind == "map" else "[]")
    elif layout.begins_line(one.begin):
        yield (lines_of(layout, one.begin, one.end),)
        if one.part.raw_end > layout.next_line(one.end):
            yield (Splice(layout.line_start(one.begin), one.part.raw_end, ""),)
        yield (Splice(layout.line_start(one.begin), layout.next_line(one.end), ""),)
    else:  # `- a: 1`: the first of its map, after a dash
        following = part.entries[at + 1].begin
        if not layout.text[layout.next_line(one.end) : following].strip():
            yield (Splice(one.begin, following, ""),)
        text = layout.text[: one.begin].rstrip(" \t")
        yield (Splice(len(text), layout.line_end(one.end), ""),)


def _deleting_flow(layout: Layout, part: Part, at: int) -> Iterator[Way]:
    source, entries, one = layout.text, part.entries, part.entries[at]
    if source[part.start] not in "{[":
        yield (Splice(part.start, part.end, "{}"),)
        return
    comma = layout.skip(one.end)
    has_comma = source[comma] == ","
    end = comma + 1 if has_comma else one.end
    if has_comma and comma > layout.line_end(one.end):  # on a later line: what is between them stays
        yield Splice(one.begin, one.end, ""), Splice(comma, comma + 1, "")
        return
    alone = layout.begins_line(one.begin) and layout.skip(end) > layout.line_end(end)
    before = () if at == 0 or has_comma else (_comma(layout, entries[at - 1]),)
    if alone:
        yield (lines_of(layout, one.begin, end), *before)
    if len(entries) == 1:
        if not source[part.start + 1 : one.begin].strip() and not source[end : part.end - 1].strip():
            yield (Splice(part.start + 1, part.end - 1, ""),)
    elif at < len(entries) - 1 and not source[end : entries[at + 1].begin].strip():
        yield (Splice(one.begin, entries[at + 1].begin, ""),)
    elif at > 0 and layout.text[entries[at - 1].end : one.begin].strip() == ",":
        yield (Splice(entries[at - 1].end, one.end, ""),)
    yield (Splice(one.begin, end, ""), *before)


def _comma(layout: Layout, entry: Entry) -> Splice:
    at = layout.skip(entry.end)
    return Splice(at, at + 1, "")


def lines_of(layout: Layout, begin: int, end: int) -> Splice:
    """Return the removal of whole lines; at the end of a file without a line break, including the
    one before.
    """
    start, following = layout.line_start(begin), layout.next_line(end)
    if following == layout.line_end(end) and start:  # the last line, without a break
        back = 2 if layout.text[start - 2 : start] == "\r\n" else 1
        return Splice(start - back, following, "")
    return Splice(start, following, "")


def moving(layout: Layout, part: Part, at: int, to: int) -> Iterator[Way]:
    """Yield ways to move an entry to another position among its siblings, with its comments."""
    order = list(range(len(part.entries)))
    order.insert(to, order.pop(at))
    for with_comments in (True, False):
        slots = [_slot(layout, part, index, with_comments) for index in range(len(part.entries))]
        texts = [layout.text[start:end] for start, end in slots]
        yield tuple(
            Splice(*slots[index], texts[source]) for index, source in enumerate(order) if index != source
        )


def _slot(layout: Layout, part: Part, index: int, with_comments: bool) -> tuple[int, int]:
    one = part.entries[index]
    if part.flow:
        return one.begin, one.end
    begin, end = one.begin, layout.line_end(one.end) if with_comments else one.end
    is_head = index == 0 and part is layout.root
    while with_comments and not is_head and layout.begins_line(begin):
        start = layout.line_start(begin)
        above = layout.line_start(start - 1) if start else start
        line = layout.text[above:start].strip()
        if start == above or not line.startswith("#"):
            break
        begin = above + layout.text[above:start].index("#")
    return begin, end


def renaming(layout: Layout, part: Part, at: int, key: str) -> Iterator[Way]:
    """Yield ways to rename an entry's key in a map."""
    writer, entry = Writer(layout, layout.text), part.entries[at]
    style = layout.text[entry.key_start]
    for quoted in dict.fromkeys((style if style in ("'", '"') else "", '"')):
        yield (Splice(entry.key_start, entry.key_end, writer.key(key, flow=part.flow, style=quoted)),)


def beginning(text: str, key: str, value: Value) -> Iterator[Way]:
    """Yield ways to write a first entry into an empty file."""
    writer = Writer(None, text)
    at = len(text)
    break_before = writer.newline if text and text[-1] not in "\r\n" else ""
    break_after = "" if break_before else writer.newline
    for literal in (True, False):
        entry = writer.entry(key, value, 0, literal=literal)
        yield (_insertion(at, f"{break_before}{entry}{break_after}"),)


def at_index(part: Part, step: str | int) -> int | None:
    """Return the place of an entry among its siblings, None where there is none."""
    keys: Sequence[str | int | None] = (
        range(len(part.entries)) if part.kind == "list" else [entry.key for entry in part.entries]
    )
    return keys.index(step) if step in keys else None
