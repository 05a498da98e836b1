"""Edits of YAML files: what comes of each kind of place, character by character."""

from __future__ import annotations

from copy import deepcopy
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.edit.differences import differences
from pipeline.config.edit.operations import append, delete, insert, move, rename, set_value
from pipeline.config.edit.values import same
from pipeline.model.errors import ConfigError

SET = [
    # a scalar keeps its quotes, its comment and what stands around it
    ("a: 1\nb: x\n", ("a",), 2, "a: 2\nb: x\n"),
    ("a: 'x' # why\n", ("a",), "it's", "a: 'it''s' # why\n"),
    ('a: "x"  # why\n', ("a",), 'say "y"\n', 'a: "say \\"y\\"\\n"  # why\n'),
    ("a: x\n", ("a",), True, "a: true\n"),
    ('a: "x"\n', ("a",), 1.5, "a: 1.5\n"),
    ("a: 1\n", ("a",), 1e22, "a: 10000000000000000000000.0\n"),
    # texts that look like something else are quoted
    *[("a: x\n", ("a",), text, f'a: "{text}"\n') for text in (
       "1", "-0", "1e3", "010", "0x1f", "true", "NO", "on", "~", "null", "2026-01-01", "12:30", ".inf", "+49",
       "", " x", "x ", "- x", "? x", "a: b", "a #b", "a:", "#x", "*x", "&x", "!x", "@x", "%x", "{x", "[x",
       "=", "{{ event }}", "---")],
    ("a: x\n", ("a",), "http://x/y?z=1#q", "a: http://x/y?z=1#q\n"),
    ("a: x\n", ("a",), "${URL}", "a: ${URL}\n"),
    ("a: x\n", ("a",), "naïve 🎉", "a: naïve 🎉\n"),
    ("a: x\n", ("a",), "\x00\x85\u2028\ufeff", 'a: "\\0\\x85\\u2028\\ufeff"\n'),
    ("{a: x, b: y}\n", ("a",), "p, q", '{a: "p, q", b: y}\n'),
    ("{a: x}", ("a",), "${URL}", '{a: "${URL}"}'),
    ('{"a":"x","b":1}', ("a",), "y", '{"a":"y","b":1}'),
    ('{"a":1}', ("a",), "y", '{"a":"y"}'),
    ("['x', y]\n", (1,), "z", "['x', z]\n"),
    ("[a: b]\n", (0, "a"), "c", "[a: c]\n"),
    ("a:\n  x\nb: 1\n", ("a",), "z", "a:\n  z\nb: 1\n"),
    ("a: x\n   y\nb: 1\n", ("a",), "z", "a: z\nb: 1\n"),
    ("- - x\n  - y\n- z\n", (0, 1), 5, "- - x\n  - 5\n- z\n"),
    ("? a\n: x\n", ("a",), "z", "? a\n: z\n"),
    ("a:\tx\t# c\n", ("a",), "z", "a:\tz\t# c\n"),
    # an empty value
    ("a:\nb: 1\n", ("a",), "x", "a: x\nb: 1\n"),
    ("a: # why\nb: 1\n", ("a",), "x", "a: x # why\nb: 1\n"),
    ("{a, b: 1}\n", ("a",), "x", "{a: x, b: 1}\n"),
    ("-\n- b\n", (0,), "x", "- x\n- b\n"),
    # texts of several lines
    ("a: x\nb: 1\n", ("a",), "p\nq", "a: |-\n  p\n  q\nb: 1\n"),
    ("a: x\nb: 1\n", ("a",), "p\n\nq\n", "a: |\n  p\n\n  q\nb: 1\n"),
    ("a: |  # why\n  p\n  q\n\nb: 1\n", ("a",), "r\ns\n", "a: |  # why\n  r\n  s\n\nb: 1\n"),
    ("a: >-  # why\n  p\n  q\n\n# of b\nb: 1\n", ("a",), "x", "a: x  # why\n\n# of b\nb: 1\n"),
    ("a: |\n  p\n  q", ("a",), 1, "a: 1"),
    ("a: |+\n  p\n\nb: 1\n", ("a",), 1, "a: 1\nb: 1\n"),
    ("a: |\n", ("a",), "x", "a: x\n"),
    # collections
    ("a: 1 # why\nb: 2\n", ("a",), {"c": {"d": 1}}, "a: # why\n  c:\n    d: 1\nb: 2\n"),
    ("a: 1\nb: {c: 2}\n", ("a",), {"d": 1}, "a: {d: 1}\nb: {c: 2}\n"),
    ("a: 1\n", ("a",), ["x", 1], "a: [x, 1]\n"),
    ("a: 1\nb:\n- x\n", ("a",), ["z"], "a:\n- z\nb:\n- x\n"),
    ("a: 1\n", ("a",), {}, "a: {}\n"),
    ("a: # why\n  # of b\n  b: 1 # x\nc: 2\n", ("a",), 5, "a: 5 # why\n  # of b\nc: 2\n"),
    ("- a: 1\n  b: 2 # x\n- c\n", (0,), 5, "- 5 # x\n- c\n"),
    ("a:\n  - x\n  - y\n", ("a",), {"k": {"l": 1}}, "a:\n  k:\n    l: 1\n"),
    ("a:\n- x\n- y\nb: 1\n", ("a",), {"k": {"l": 1}}, "a:\n  k:\n    l: 1\nb: 1\n"),
    ("a: {b: 1}\n", ("a",), {"c": [1, {"d": 2}]}, "a: {c: [1, {d: 2}]}\n"),
    # only what differs
    ("a:\n  b: 1 # one\n  c: 2 # two\n", ("a",), {"b": 1, "c": 3, "d": 4},
     "a:\n  b: 1 # one\n  c: 3 # two\n  d: 4\n"),
    ("- x # x\n- y # y\n- z # z\n", (), ["x", "z"], "- x # x\n- z # z\n"),
    # a placeholder without quotes may become a number
    ("a: {b: 1}\n", ("c",), {"d": "${N}"}, "a: {b: 1}\nc:\n  d: ${N}\n"),
    # keys that are missing
    ("a: null # why\nb: 1\n", ("a", "c"), 2, "a: # why\n  c: 2\nb: 1\n"),
    ("a:\nb: {d: 1}\n", ("a", "c"), 2, "a: {c: 2}\nb: {d: 1}\n"),
    ("a: 1\n", ("b", "c"), 2, "a: 1\nb:\n  c: 2\n"),
    ("", ("a",), 1, "a: 1\n"),
    ("# only this\n", ("a", "b"), 1, "# only this\na:\n  b: 1\n"),
    ("---\n", ("a",), 1, "---\na: 1\n"),
    ("{}", ("a",), 1, "{a: 1}"),
    # ends of lines and of files
    ("a: 1\r\nb: 2\r\n", ("c",), {"d": 1, "e": [[1], 2]}, None),
    ("\ufeffa: 1\r\nb: 2", ("b",), 3, "\ufeffa: 1\r\nb: 3"),
    ("a: 1\rb: 2\r", ("c",), 3, "a: 1\rb: 2\rc: 3\r"),
    ("a: 1", ("b",), 2, "a: 1\nb: 2"),
    ("x", (), "z", "z"),
]  # fmt: skip

INSERT = [
    ("a: 1 # one\n# of b\nb: 2\n", ("c",), 3, 1, "a: 1 # one\nc: 3\n# of b\nb: 2\n"),
    ("# head\na: 1\n", ("c",), 3, 0, "# head\nc: 3\na: 1\n"),
    ("a:\n  b: 1\n  # more\n\nc: 2\n", ("a", "d"), "x", None, "a:\n  b: 1\n  d: x\n  # more\n\nc: 2\n"),
    ("a:\n  b: |\n    x\n\n\nc: 2\n", ("a", "d"), 1, None, "a:\n  b: |\n    x\n  d: 1\n\n\nc: 2\n"),
    ("a:\n  b: |+\n    x\n\nc: 2\n", ("a", "d"), 1, None, "a:\n  b: |+\n    x\n\n  d: 1\nc: 2\n"),
    ("a:\n  # of x\n  - x\n", ("a", 0), "z", None, "a:\n  - z\n  # of x\n  - x\n"),
    ("- a: 1\n  b: 2\n", (0, "c"), 3, 0, "- c: 3\n  a: 1\n  b: 2\n"),
    ("- x\n- y\n", (1,), "z", None, "- x\n- z\n- y\n"),
    ("- x\n- y", (2,), "z", None, "- x\n- y\n- z"),
    ("- - x\n", (0, 0), "z", None, "- - z\n  - x\n"),
    ("- x\n", (1,), {"a": {"b": 1}, "c": 2}, None, "- x\n- a:\n    b: 1\n  c: 2\n"),
    ("a:\n- x\nb: 1\n", ("a", 1), "z", None, "a:\n- x\n- z\nb: 1\n"),
    ('- "x"\n', (1,), "y", None, '- "x"\n- "y"\n'),
    ("[]\n", (0,), 1, None, "[1]\n"),
    ("[1, 2]\n", (1,), 5, None, "[1, 5, 2]\n"),
    ("[1, 2]\n", (2,), 5, None, "[1, 2, 5]\n"),
    ("[1, 2,]\n", (2,), 5, None, "[1, 2, 5,]\n"),
    ("[\n  1, # one\n  2 # two\n]\n", (2,), 5, None, "[\n  1, # one\n  2, # two\n  5\n]\n"),
    ("[\n  1,\n  2, # two\n]\n", (2,), 5, None, "[\n  1,\n  2, # two\n  5,\n]\n"),
    ("[\n  1,\n  2\n]\n", (1,), 5, None, "[\n  1,\n  5,\n  2\n]\n"),
    ("[a: 1]\n", (0, "b"), 2, None, "[{a: 1, b: 2}]\n"),
    ('{"a": 1}\n', ("b",), "x", None, '{"a": 1, "b": x}\n'),
    # what was empty is written as the file writes others
    ("a: {}\n", ("a", "x y"), "z", None, "a:\n  x y: z\n"),
    ("a: {b: {}}\n", ("a", "b", "c"), 1, None, "a: {b: {c: 1}}\n"),
    ("a: {}  # why\nb: {c: 1}\n", ("a", "d"), 2, None, "a: {d: 2}  # why\nb: {c: 1}\n"),
    ("a: []  # why\n", ("a", 0), {"b": {"c": 1}}, None, "a:  # why\n  - b:\n      c: 1\n"),
    ("a: { # why\n}\n", ("a", "b"), 1, None, "a: {b: 1 # why\n}\n"),
    ("a: 1\n", ("b: c",), 1, None, 'a: 1\n"b: c": 1\n'),
    ("a: 1\n", ("<<",), 1, None, 'a: 1\n"<<": 1\n'),
    ("a: 1\n", ("yes",), 1, None, 'a: 1\n"yes": 1\n'),
    # as its neighbours, where the file writes most on one line
    (
        "a:\n  b:\n    c: 1\nd: {e: 1}\nf: {g: 1}\n",
        ("a", "h"),
        {"i": 1},
        None,
        "a:\n  b:\n    c: 1\n  h:\n    i: 1\nd: {e: 1}\nf: {g: 1}\n",
    ),
]

DELETE = [
    # keys that are written out, in braces
    ("a: {? b : 1, ? c : 2} # x\n", ("a", "c"), "a: {? b : 1} # x\n"),
    ("a: { ? b : 1 }\n", ("a", "b"), "a: {}\n"),
    ("a: {\n  ? b # k\n  : 1, # one\n  c: 2\n}\n", ("a", "b"), "a: {\n  c: 2\n}\n"),
    ("a: 1 # one\n# of b\nb: 2\n", ("a",), "# of b\nb: 2\n"),
    ("a: 1\nb: 2", ("b",), "a: 1"),
    ("a: 1\r\nb: 2", ("b",), "a: 1"),
    ("- a: 1\n  b: 2\n", (0, "a"), "- b: 2\n"),
    ("- a: 1 # x\n  # of b\n  b: 2\n", (0, "a"), "-\n  # of b\n  b: 2\n"),
    ("a:\n  # of b\n  b: 1\nc: 2\n", ("a", "b"), "a: {}\n  # of b\nc: 2\n"),
    ("a:\n- x\nc: 2\n", ("a", 0), "a: []\nc: 2\n"),
    ("- a: 1 # x\n", (0, "a"), "- {} # x\n"),
    ("a: 1\n", ("a",), "{}\n"),
    ("a: |\n  x\n\nb: 1\n", ("a",), "\nb: 1\n"),
    ("[1, 2, 3]", (1,), "[1, 3]"),
    ("[1, 2, 3]", (2,), "[1, 2]"),
    ("[1, 2, 3]", (0,), "[2, 3]"),
    ("[1, 2,]", (1,), "[1,]"),
    ("[ 1 ]", (0,), "[]"),
    ("[\n  1, # one\n  2, # two\n  3 # three\n]", (2,), "[\n  1, # one\n  2 # two\n]"),
    ("[\n  1, # one\n  2, # two\n]", (0,), "[\n  2, # two\n]"),
    ("[ 1\n# why\n, 2]", (0,), "[ \n# why\n 2]"),
    ("{a: {b: 1}, c: 2}", ("a",), "{c: 2}"),
    ("[a: 1]", (0, "a"), "[{}]"),
]  # fmt: skip

MOVE = [
    ("a: {b: 1, ? c : 2}\n", ("a", "c"), 0, "a: {? c : 2, b: 1}\n"),
    ("# head\na: 1 # one\n# of b\nb: 2\n\nc: 3\n", ("c",), 0, "# head\nc: 3\na: 1 # one\n\n# of b\nb: 2\n"),
    ("- a: 1\n  b: 2\n- c: 3\n", (1,), 0, "- c: 3\n- a: 1\n  b: 2\n"),
    ("- a: 1\n  # of b\n  b: 2\n", (0, "b"), 0, "- # of b\n  b: 2\n  a: 1\n"),
    ("- x\n- y", (0,), 1, "- y\n- x"),
    ("[x, 'y', z]", (2,), 0, "[z, x, 'y']"),
    ("a: |\n  x\nb: 1\n", ("b",), 0, "b: 1\na: |\n  x\n"),
]

RENAME = [
    ("a: 1\nb: 2\n", ("a",), "c", "c: 1\nb: 2\n"),
    ('"a": 1\n', ("a",), "c", '"c": 1\n'),
    ("{a: 1}", ("a",), "x, y", '{"x, y": 1}'),
    ("? a\n: 1\n", ("a",), "c", "? c\n: 1\n"),
    ("a: 1\n", ("a",), "true", '"true": 1\n'),
]


@pytest.mark.parametrize(("text", "path", "value", "wanted"), SET)
def test_set(text, path, value, wanted):
    if wanted is None:
        wanted = "a: 1\r\nb: 2\r\nc:\r\n  d: 1\r\n  e:\r\n    - [1]\r\n    - 2\r\n"
    assert set_value(text, path, value) == wanted


@pytest.mark.parametrize(("text", "path", "value", "at", "wanted"), INSERT)
def test_insert(text, path, value, at, wanted):
    assert insert(text, path, value, at=at) == wanted


@pytest.mark.parametrize(("text", "path", "wanted"), DELETE)
def test_delete(text, path, wanted):
    assert delete(text, path) == wanted


@pytest.mark.parametrize(("text", "path", "to", "wanted"), MOVE)
def test_move(text, path, to, wanted):
    assert move(text, path, to) == wanted


@pytest.mark.parametrize(("text", "path", "key", "wanted"), RENAME)
def test_rename(text, path, key, wanted):
    assert rename(text, path, key) == wanted


REFUSED = {
    "an anchor": ("a: &x 1\nb: 2\n", lambda text: set_value(text, ("a",), 2), "anchor"),
    "a merge key": ("a: 1\n<<: {b: 2}\n", lambda text: set_value(text, ("a",), 2), "merge-key"),
    "a tag": ("a: !!str 1\n", lambda text: set_value(text, ("a",), 2), "tag"),
    "a key twice": ("a: 1\na: 2\n", lambda text: delete(text, ("a",)), "duplicate-key"),
    "two documents": ("a: 1\n---\nb: 1\n", lambda text: set_value(text, ("a",), 2), "several-documents"),
    "a slip": ("a: [1\nb: 2\n", lambda text: set_value(text, ("b",), 2), "yaml-syntax"),
    "a key that is there": ("a: 1\nb: 2\n", lambda text: rename(text, ("a",), "b"), "duplicate-key"),
    "no such key": ("request: 1\n", lambda text: delete(text, ("requst",)), "no-such-key"),
    "no such element": ("[1]", lambda text: delete(text, (1,)), "no-such-element"),
    "a place beyond": ("[1]", lambda text: move(text, (0,), 1), "no-place"),
    "a key of a list": ("[1]", lambda text: set_value(text, ("a",), 1), "wrong-type"),
    "an element of a map": ("a: {'0': 1}\n", lambda text: set_value(text, ("a", 0), 1), "no-such-key"),
    "inside of a text": ("a: x\n", lambda text: set_value(text, ("a", "b"), 1), "wrong-type"),
    "a template as a key": ("a: 1\n", lambda text: rename(text, ("a",), "{{ x }}"), "wrong-value"),
    "not a number": ("a: 1\n", lambda text: set_value(text, ("a",), float("nan")), "wrong-value"),
    "one inside": ("a: 1\n", lambda text: set_value(text, ("a",), {"b": [float("inf")]}), "wrong-value"),
    "half a character": ("a: 1\n", lambda text: set_value(text, ("a",), "\ud800"), "wrong-value"),
    "too large a number": ("a: 1\n", lambda text: set_value(text, ("a",), 2**64), "wrong-value"),
    "an element too many": ("a: [1]\n", lambda text: set_value(text, ("a", 1), 1), "no-such-element"),
    "an element of no list": ("a: 1\n", lambda text: set_value(text, ("b", 0), 1), "missing-list"),
    "the whole file, inserted": ("a: 1\n", lambda text: insert(text, (), 1), "no-path"),
    "the whole file, deleted": ("a: 1\n", lambda text: delete(text, ()), "no-path"),
    "appended to a map": ("a: {}\n", lambda text: append(text, ("a",), 1), "wrong-type"),
    "the key of an element": ("[1]", lambda text: rename(text, (0,), "a"), "no-key"),
    "inserted twice": ("a: 1\n", lambda text: insert(text, ("a",), 2), "duplicate-key"),
    "a place beyond the keys": ("a: 1\n", lambda text: insert(text, ("b",), 2, at=2), "no-place"),
    # A last text without its line end would get one from whatever came after it.
    "after such a text": ("a: |\n  x", lambda text: insert(text, ("b",), 1), "not-editable"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "edit", "code"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_cleanly_is_refused(text, edit, code):
    with pytest.raises(ConfigError) as error:
        edit(text)
    assert [one.code for one in error.value.findings] == [code]


def test_what_is_appended_is_the_last_element_and_a_missing_list_is_made():
    assert append("a: [1]\n", ("a",), 2) == "a: [1, 2]\n"
    assert append("a:\n  - 1  # one\n", ("a",), 2) == "a:\n  - 1  # one\n  - 2\n"
    assert append("a: 1\n", ("b",), 2) == "a: 1\nb: [2]\n"


def test_an_edit_of_nothing_changes_nothing():
    text = "a: [1,   2]  # kept\n"
    assert rename(text, ("a",), "a") == move(text, ("a", 0), 0) == set_value(text, ("a",), [1, 2]) == text


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ([1, 2, 3], [1, 3], [("delete", (1,))]),
        ([1, 2, 3, 4], [1, 4], [("delete", (2,)), ("delete", (1,))]),
        ([1, 4], [1, 2, 3, 4], [("insert", (1,)), ("insert", (2,))]),
        ([1, 2, 3], [1, 5, 3], [("set", (1,))]),
        ([1, 1], [1, 1, 1], [("insert", (2,))]),
        ([{"a": 1, "b": 2}, 3], [{"a": 1, "b": 5}, 3], [("set", (0, "b"))]),
        ({"a": 1, "b": 2}, {"b": 2, "c": 3}, [("delete", ("a",)), ("insert", ("c",))]),
        (
            {"a": {"b": 1}, "c": [1, 2]},
            {"a": {"b": 2}, "c": [2]},
            [("set", ("a", "b")), ("delete", ("c", 0))],
        ),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, [("set", ())]),
        ({"a": 1}, {"b": 1}, [("set", ())]),
        ([1], [], [("set", ())]),
    ],
)
def test_what_differs_is_edited_where_it_differs(old, new, wanted):
    assert [change[:2] for change in differences(old, new, ())] == wanted


@given(
    st.recursive(st.integers(0, 3), lambda one: st.lists(one) | st.dictionaries(st.sampled_from("abc"), one)),
    st.data(),
)
def test_what_differs_makes_one_of_the_other(old, data):
    new = deepcopy(old)
    for _ in range(data.draw(st.integers(0, 3))):
        inner = data.draw(st.sampled_from([one for one in _within(new) if type(one) is not int] or [[]]))
        key = (
            data.draw(st.integers(0, len(inner)))
            if type(inner) is list
            else data.draw(st.sampled_from("abcd"))
        )
        if type(inner) is list and (key == len(inner) or data.draw(st.booleans())):
            inner.insert(key, 9)
        elif data.draw(st.booleans()):
            inner[key] = 9
        elif type(inner) is list or key in inner:
            del inner[key]
    for verb, path, value, _, at in list(differences(old, new, ())):
        outer = old
        for step in path[:-1]:
            outer = outer[step]
        if not path:
            old = value
        elif verb == "delete":
            del outer[path[-1]]
        elif verb == "insert" and type(outer) is list:
            outer.insert(int(path[-1]), value)
        elif at is not None:
            items = [*outer.items()]
            items.insert(at, (path[-1], value))
            outer.clear()
            outer.update(items)
        else:
            outer[path[-1]] = value
    assert same(old, new)


def _within(value):
    yield value
    for inner in value.values() if type(value) is dict else value if type(value) is list else ():
        yield from _within(inner)


def test_a_typo_in_a_path_names_the_key_that_was_meant():
    with pytest.raises(ConfigError) as error:
        delete(dedent("request:\n  url: x\n"), ("request", "ulr"), file="webhooks/x.yaml")
    assert "webhooks/x.yaml:2" in str(error.value)
    assert "did you mean `url`?" in str(error.value)
