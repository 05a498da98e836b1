"""Random edits of every YAML file that is at hand: what was meant changes, and no other byte does.

The long form: HOOKLINE_EDITS=20000 pytest tests/config/edit/test_edit_any.py
"""

from __future__ import annotations

import copy
import io
import os
import re
import tarfile
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.config.edit.layout import Layout, Part
from pipeline.config.edit.operations import delete, insert, move, rename, set_value
from pipeline.config.edit.values import same
from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.config.yaml.loader import parse_yaml
from pipeline.model.errors import ConfigError
from tests.kit.streams.samples import ROOT, public_data

EDITS = int(os.environ.get("HOOKLINE_EDITS", "120"))
_SNIPPET = re.compile(r"^```ya?ml\n(.*?)^```", re.M | re.S)


def _texts() -> Iterator[tuple[str, str]]:
    data = public_data()
    folders = ["config", "examples", "tests/samples", "docker"]
    roots = [ROOT / name for name in folders] + ([data / "webhooks"] if data is not None else [])
    for root in roots:
        for path in sorted(root.rglob("*.y*ml")):
            yield str(path), path.read_bytes().decode("utf-8")
    for path in sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "config" / "README.md"]):
        for number, found in enumerate(_SNIPPET.finditer(path.read_text())):
            yield f"{path}#{number}", found[1]
    suite = data / "nasty" / "yaml-test-suite.tar.gz" if data is not None else None
    if suite is not None and suite.is_file():
        with tarfile.open(suite) as tar:
            for member in tar:
                if member.isfile() and member.name.endswith((".yaml", "in.yaml")):
                    file = tar.extractfile(member)
                    assert file is not None  # a file, as was asked
                    yield member.name, io.TextIOWrapper(file, "utf-8", newline="").read()


def _variants(text: str) -> Iterator[str]:
    """Yield the text as other editors would have saved it."""
    yield text
    yield text.replace("\n", "\r\n")
    yield "\ufeff" + text.rstrip("\n")


@cache
def _usable() -> dict[str, str]:
    found = {}
    for name, text in _texts():
        document = parse_yaml(text, name)
        if document.root is not None and not any(not one.warning for one in document.findings):
            found[name] = text
    return found


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TELLING = ["true", "no", "12:30", "2026-01-01", "1e3", "", " ", "a: b", "a #b", "- a", "{{ event }}", "${X}",
           "x\ny", "x\n\ny\n", "\n", " x\ny", "x \n y\n\n", "a" * 300, "[x]", "'", '"', "\\"]  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    st.sampled_from(TELLING),
)
KEYS = st.one_of(TEXTS, st.sampled_from(["<<", "a.b", "true", "1", "", "a: b", "x y", "#"]))
KEYS = KEYS.filter(lambda key: "{{" not in key and "{%" not in key)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def _layout(text: str) -> Layout:
    document = parse_yaml(text, "")
    assert document.root is not None
    return Layout(text.removeprefix("\ufeff"), document.root)


def _places(layout: Layout) -> list[KeyPath]:
    found = list[KeyPath]()
    todo: list[tuple[KeyPath, Part]] = [((), layout.root)]
    while todo:
        path, part = todo.pop()
        found.append(path)
        for index, entry in enumerate(part.entries):
            todo.append(((*path, entry.key if entry.key is not None else index), entry.part))
    return sorted(found, key=lambda path: [str(step) for step in path])


def _at(data, path):
    for step in path:
        data = data[step]
    return data


@pytest.mark.timeout(3600)
@settings(
    max_examples=EDITS, deadline=None, suppress_health_check=list(HealthCheck), derandomize=EDITS < 1000
)
@given(st.data())
def test_exactly_what_is_meant_changes(data):
    name = data.draw(st.sampled_from(sorted(_usable())))
    text = data.draw(st.sampled_from(list(_variants(_usable()[name]))))
    document = parse_yaml(text, name)
    if document.root is None or any(not one.warning for one in document.findings):
        return
    meant = copy.deepcopy(document.root.value)
    layout = _layout(text)
    path = data.draw(st.sampled_from(_places(layout)))
    verb = data.draw(st.sampled_from(["set", "set", "insert", "delete", "move", "rename"]))
    part = layout.find(path)
    assert part is not None  # one of its places
    try:
        if verb == "set":
            value = data.draw(VALUES)
            after = set_value(text, path, value)
            if path:
                _at(meant, path[:-1])[path[-1]] = value
            else:
                meant = value
        elif verb == "insert" and part.kind == "list":
            index, value = data.draw(st.integers(0, len(part.entries))), data.draw(VALUES)
            _at(meant, path).insert(index, value)
            after = insert(text, (*path, index), value)
        elif verb == "insert" and part.kind == "map":
            at, key, value = data.draw(st.integers(0, len(part.entries))), data.draw(KEYS), data.draw(VALUES)
            within = _at(meant, path)
            if key in within:
                return
            after = insert(text, (*path, key), value, at=at)
            items = [*within.items()]
            items.insert(at, (key, value))
            within.clear()
            within.update(items)
        elif verb == "delete" and path:
            del _at(meant, path[:-1])[path[-1]]
            after = delete(text, path)
        elif verb == "move" and path:
            outer = _at(meant, path[:-1])
            to = data.draw(st.integers(0, len(outer) - 1))
            after = move(text, path, to)
            if isinstance(outer, list):
                outer.insert(to, outer.pop(path[-1]))
            else:
                keys = list(outer)
                keys.insert(to, keys.pop(keys.index(path[-1])))
                items = [(key, outer[key]) for key in keys]
                outer.clear()
                outer.update(items)
        elif verb == "rename" and path and isinstance(path[-1], str):
            outer, key = _at(meant, path[:-1]), data.draw(KEYS)
            if key in outer:
                return
            after = rename(text, path, key)
            items = [(key if one == path[-1] else one, value) for one, value in outer.items()]
            outer.clear()
            outer.update(items)
        else:
            return
    except ConfigError as error:
        REFUSED.append((verb, name, path, str(error)))
        return
    DONE.append(verb)
    found = parse_yaml(after, name)
    assert found.root is not None
    assert same(found.root.value, meant)
    assert not any(not one.warning for one in found.findings)
    _require_the_rest(text, after, layout, path, verb)


REFUSED: list[tuple[str, str, object, str]] = []
DONE: list[str] = []


def _require_the_rest(text: str, after: str, layout: Layout, path: KeyPath, verb: str) -> None:
    """Whatever bytes an edit has no business with are where they were, in their order."""
    assert after.startswith("\ufeff") == text.startswith("\ufeff")
    if "\r\n" in text:
        assert not re.search(r"(?<!\r)\n", after)
    if verb == "insert":
        assert _is_inside(text, after)
        return
    own = layout.find(path)
    assert own is not None  # it was edited
    if verb == "move":
        assert sorted(text) == sorted(after)
        return
    outer = layout.find(path[:-1]) if path else None
    entry = None if outer is None else next(one for one in outer.entries if one.part is own)
    mark = text[: len(text) - len(layout.text)]
    begin = layout.line_start(own.start if entry is None else entry.begin)
    assert after.startswith(mark + layout.text[:begin].rstrip("\r\n, \t"))
    if verb != "delete" or outer is None or not outer.flow:
        assert after.endswith(layout.text[layout.line_end(own.end) :].lstrip("\r\n \t"))
    if verb == "rename":
        assert entry is not None  # it has a key
        assert after.startswith(mark + layout.text[: entry.key_start])
        assert after.endswith(layout.text[entry.key_end :])
    elif verb == "delete":
        assert outer is not None  # it has a path
        assert len(outer.entries) == 1 or _is_inside(after, text)
    elif not own.is_block and own.style not in ("|", ">") and own.start < own.end:
        behind = layout.text[own.end : layout.line_end(own.end)]
        assert behind in after  # the comment in its line, and what follows on it


def _is_inside(one: str, other: str) -> bool:
    """Return whether a text is what is left of another one when some is cut out; blanks in `[  ]` may go."""
    characters = iter(other)
    return all(char in characters for char in one if char not in " \t")


def test_hardly_any_edit_is_refused():
    """Stands behind the random ones: what was refused there are ends of files without their line break."""
    assert len(REFUSED) <= len(DONE) // 10, REFUSED
