from __future__ import annotations

import string
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.yaml.document import Document, Node, locate, text_span
from pipeline.config.yaml.loader import MAX_DEPTH, MAX_FILE_BYTES, decode_text, parse_yaml
from pipeline.model.findings import render, render_finding
from tests.kit.streams.samples import shared_data


def root(document: Document) -> Node:
    assert document.root is not None
    return document.root


def codes(text: str) -> list[str]:
    return [finding.code for finding in parse_yaml(text, "f.yaml").findings]


def shown(text: str) -> str:
    return render(parse_yaml(text, "f.yaml").findings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x 1\n", ["anchor"]),
        ("a: 1\nb: *x\n", ["alias"]),
        ("a: !!str 1\n", ["tag"]),
        ("a: !custom {b: 1}\n", ["tag"]),
        ("<<: {a: 1}\n", ["merge-key"]),
        ("a: 1\nb: 2\na: 3\n", ["duplicate-key"]),
        ("a: 1\n---\nb: 2\n", ["several-documents"]),
        ('"{{ event.name }}": 1\n', ["template-in-key"]),
        ("a{% x %}: 1\n", ["template-in-key"]),
        ("? [a]\n: 1\n", ["key-not-text"]),
        ("a:\n  b:\n", ["empty-value"]),
        ("- \n- 1\n", ["empty-value"]),
        ("{a, b: 1}\n", ["empty-value"]),
        ("", ["empty-file"]),
        ("# nothing\n", ["empty-file"]),
        ("--- \n", []),
    ],
)
def test_what_the_language_leaves_out_is_an_error(text: str, expected: list[str]) -> None:
    assert codes(text) == expected


def test_a_tag_is_told_as_it_is_written() -> None:
    assert "tags (`!!str`) are not supported" in shown("a: !!str 1\n")


def test_an_empty_value_names_the_comment_that_swallowed_it() -> None:
    assert shown("channel: #growth\n") == (
        "f.yaml:1:1: error[empty-value]: `channel` has no value: `#growth` is a comment\n"
        "    1 | channel: #growth\n"
        '      | ^^^^^^^ write "#growth" in quotes if it is the value\n'
        "1 problem in 1 file (1 error)"
    )


def test_a_value_cut_by_a_hash_is_a_warning_and_a_plain_comment_is_none() -> None:
    assert codes("text: Order #5 paid\n") == ["comment-cuts-value"]
    assert codes("events: [a, #b\n  c]\n") == ["comment-cuts-value"]
    assert codes("method: POST   # or PUT\n") == []
    assert codes("events: [a, # or b\n  c]\n") == []


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("text: {{ event.name }}\n", 'quote the value: "{{ event.name }}"'),
        ("text: {{ event.name }} was seen\n", 'quote the value: "{{ event.name }} was seen"'),
        ("- {{ x | default: 'a' }}\n", "quote the value: \"{{ x | default: 'a' }}\""),
        ("a: {b: {{ c }}, d: 1}\n", 'quote it: "{{ c }}"'),
        ("text: {% if a %}b{% endif %}\n", 'quote the value: "{% if a %}b{% endif %}"'),
        ("a: {b: {% if a %}b{% endif %} c, d: 1}\n", 'quote it: "{% if a %}b{% endif %} c"'),
        ("events: *\n", 'quote the value: "*"'),
        ("text: *bold*\n", 'quote the value: "*bold*"'),
        ("url: {glob: */pricing, a: 1}\n", 'quote it: "*/pricing"'),
        ("names: [a, *.pdf]\n", 'quote it: "*.pdf"'),
        ("event: {each: lines[*], name: n}\n", 'quote it: "lines[*]"'),
        ("a: [b.c[0].d, e]\n", 'quote it: "b.c[0].d"'),
        ('a: {b: user["No."].id}\n', "quote it: 'user[\"No.\"].id'"),
        ("trigger: {events: [*]}\n", 'quote it: "*"'),
        ("domain: @acme.com\n", 'quote the value: "@acme.com"'),
        ("a: [x, @acme.com]\n", 'quote it: "@acme.com"'),
        ("a: `x`\n", 'quote the value: "`x`"'),
        ("text: Total: 5\n", 'quote the value: "Total: 5"'),
        ("a: {channel: #growth}\n", 'quote it: "#growth"'),
        ("a: [b, #c, d]\n", 'quote it: "#c"'),
        ("a: {url: https://x/${N}/y}\n", 'quote it: "https://x/${N}/y"'),
        ("a: > 5\n", 'quote the value: "> 5"'),
        ("a: |x\n", 'quote the value: "|x"'),
        ("a: - b\n", 'quote the value: "- b"; a list begins in a new line'),
        ("a: ? b\n", 'quote the value: "? b"'),
        ('a: "\\d"\n', "in double quotes write \\\\d; in single quotes it stands as it is"),
        ('a: "x\\ud83d\\ude00y"\n', 'write the character itself, 😀, or "\\U0001F600"'),
        ('a: "\\ud83d"\n', "half of a surrogate pair is no character"),
        ("a:\n\tb: 1\n", "indent with spaces: YAML allows no tabs there"),
    ],
)
def test_a_known_slip_is_shown_with_how_to_write_it(text: str, hint: str) -> None:
    (finding,) = parse_yaml(text, "f.yaml").findings
    assert finding.hint == hint
    assert not finding.warning


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("a: >5\n", "empty-block", 'quote the value: ">5"'),
        ("a: > # later\nb: 1\n", "empty-block", 'write "" for an empty text'),
        ("a:\n  b:c\n", "looks-like-map", "quote the value if the text is meant"),
        ("a:\n  b:\u00a0c\n", "looks-like-map", "quote the value if the text is meant"),
        ("a: \u201cb\u201d\n", "looks-like-quotes", "straight quotes"),
        ("- \u2018b\u2019\n", "looks-like-quotes", "straight quotes"),
        ("a: \u200bb\n", "invisible-character", "take it away"),
        ("a: b\u00a0\n", "invisible-character", "take it away"),
        ("a: 1\n\u00a0\u00a0b: 1\n", "invisible-character", "take it away"),
        ("b\ufeff: 1\n", "invisible-character", "take it away"),
    ],
)
def test_a_text_that_is_hardly_meant_is_a_warning(text: str, code: str, hint: str) -> None:
    (found,) = parse_yaml(text, "f.yaml").findings
    assert (found.warning, found.code) == (True, code)
    assert hint in (found.hint or "")


@pytest.mark.parametrize(
    "text",
    [
        "a: b:c\n",
        "- a:b\n",
        "a:\n  https://h.example\n",
        "a:\n  12:30\n",
        "a:\n  'b:c'\n",
        "a: '\u201cb\u201d'\n",
        "a: \u201cb\u201d c\n",
        "a: 5\u00a0EUR\n",
        "a: |\n  b\n",
        "a: ''\n",
    ],
)
def test_a_text_that_may_well_be_meant_is_not(text: str) -> None:
    assert parse_yaml(text, "f.yaml").findings == []


def test_every_unknown_escape_of_a_line_is_one_fault() -> None:
    found = parse_yaml('a: "\\d+\\s\\n\\\\w"\nb: [*]\n', "f.yaml").findings
    assert [(one.line, one.column) for one in found] == [(1, 5), (2, 5)]


def test_the_faults_behind_a_syntax_error_show_too() -> None:
    text = "a: {{ x }} y\nb: @z\nc: 1\nc: 2\n"
    assert codes(text) == ["unquoted-template", "yaml-syntax", "duplicate-key"]


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("a:\n  b: [x\nc: 1\nc: 2\n", (2, 6), "this [ is not closed by ]"),
        ("a: {b: 1\nc: 1\nc: 2\n", (1, 4), "this { is not closed by }"),
        ('a: "x\nc: 1\nc: 2\n', (1, 4), 'this " is not closed by "'),
    ],
)
def test_what_is_not_closed_is_shown_where_it_opens(text: str, place: tuple[int, int], hint: str) -> None:
    first, second = parse_yaml(text, "f.yaml").findings
    assert (first.line, first.column, first.hint) == (*place, hint)
    assert second.code == "duplicate-key"


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("a: 1\nfoo\nb: 2\n", (3, 1), "a key needs a `:` after it"),
        ("a:\n  b: 1\n c: 2\n", (3, 2), "is it indented like its neighbours?"),
        ("- a\nb: 1\n", (2, 1), "is it indented like its neighbours?"),
        ("a: 1\n  b: 2\n", (2, 4), "is it indented like its neighbours?"),
        ("a:\n\tb: 1\n", (2, 1), "indent with spaces: YAML allows no tabs there"),
        ('a: "x', (1, 4), 'this " is not closed by "'),
        ("a: [b, 'x #", (1, 8), "this ' is not closed by '"),
        ("a: - b\n", (1, 4), 'quote the value: "- b"; a list begins in a new line'),
        ("a: ? b\n", (1, 4), 'quote the value: "? b"'),
        ("a: |x y\n", (1, 4), 'quote the value: "|x y"'),
        ("a: - b: 1\n   - c: 2\n", (1, 4), "a list begins in a new line"),
        ("a:\n  b:c\n  d: 1\n", (2, 3), "a blank follows the colon: b: c"),
        ("url:https://h.example/x\nd: 1\n", (1, 1), "a blank follows the colon: url: https://h.example/x"),
        ("a:\n  b:\u00a0c\n  d: 1\n", (2, 3), "a blank follows the colon: b: c"),
        ("a:\n\u00a0 b: 1\n  c: 2\n", (2, 1), "indent with spaces: this is U+00A0"),
        ("a: {in: [b, c}\nd: 1\n", (1, 9), "this [ is not closed by ]"),
        ("a: {in: [b, c]]\nd: 1\n", (1, 4), "this { is not closed by }"),
        ("a: {in: [b, c}}\nd: 1\n", (1, 9), "this [ is not closed by ]"),
        ("a: [b, 'c]\nd: 1\n", (1, 8), "this ' is not closed by '"),
        ("a: {b: #c}\nd: 1\n", (1, 8), 'a blank and `#` begin a comment; quote it: "#c"'),
        ("a: {b[-1].c: 5}\n", (1, 5), 'quote it: "b[-1].c"'),
        ("a = 1\nd: 1\n", (1, 1), "a colon follows the key: a: 1"),
        ("a: {b: 1}}\nd: 1\n", (1, 10), "this } closes nothing: take it away"),
        ("a: [b,, c]\nd: 1\n", (1, 7), "one comma is enough"),
        ("a: {b: 1 c: 2}\nd: 1\n", (1, 11), "a comma is missing before `c`"),
        ("a: {gte: 1,000}\n", (1, 12), "a comma ends a value: write 1000"),
        ("a: {vars.m[user.id]: 5}\n", (1, 5), 'quote it: "vars.m[user.id]"'),
        ("a: \u201cb: c\u201d\n", (1, 4), "\u201c is no quote: put straight quotes around it"),
    ],
)
def test_what_was_probably_meant_is_said(text: str, place: tuple[int, int], hint: str) -> None:
    (found,) = parse_yaml(text, "f.yaml").findings
    assert (found.line, found.column, found.hint) == (*place, hint)


def test_a_quote_inside_a_quoted_text_is_explained() -> None:
    assert 'write a quote inside it as \\"' in shown('a: {b: "it is "so" here"}\n')
    assert "double the inner" not in shown("a: 'it's'\n")
    assert "write inner quotes as ''" in shown("a: 'it's'\n")


def test_lines_and_columns_are_those_of_the_file() -> None:
    document = parse_yaml("a:\n  - b: é\n    'c': [1, two]\n", "f.yaml")
    place = locate(root(document), ("a", 0, "c", 1))
    assert (place.node.span.line, place.node.span.column, place.node.value) == (2, 13, "two")
    assert place.key is None
    place = locate(root(document), ("a", 0, "c"))
    assert place.key is not None
    assert place.key[:2] == (2, 4)


def test_a_path_that_leaves_the_tree_ends_at_its_deepest_node() -> None:
    document = parse_yaml("a: {b: 1}\n", "f.yaml")
    place = locate(root(document), ("a", "x", 0))
    assert not place.complete
    assert place.node.value == {"b": 1}


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ('k: "a \\n b X"', (0, 11)),
        ("k: 'it''s X'", (0, 10)),
        ("k: plain X", (0, 9)),
        ("k: plain\n   goes on X", (1, 11)),
        ("k: |\n  first\n  then X\n", (2, 7)),
        ("k: |\n  first\n    deeper X\n", (2, 11)),
        ("k: |2\n    deeper\n  X\n", (2, 2)),
        ("k: |2\n    deeper X\n", (1, 11)),
        ("k: >1\n   folded\n   X\n", (2, 3)),
        ("k: >\n  folded\n  here X\n", (2, 7)),
        ("k: >-\n\n  after a gap X\n", (2, 14)),
        ("k: >\n  one\n\n  two\n    deeper X\n", (4, 11)),
        ('k: "a \\\n  b X"', (1, 4)),
        ('k: "\\u00e9\\x41 X"', (0, 15)),
        ('k: "two\n  lines X"', (1, 8)),
    ],
)
def test_a_character_of_a_text_is_found_in_its_source(source: str, target: tuple[int, int]) -> None:
    node = locate(root(parse_yaml(source, "f.yaml")), ("k",)).node
    span = text_span(node, node.value.index("X"), 1)
    assert (span.line, span.column) == target
    assert source.split("\n")[span.line][span.column] == "X"


@given(st.text(alphabet=string.ascii_letters + " '\"\\{}|é\u4e2d", max_size=40), st.integers(0, 50))
def test_looking_for_a_character_never_fails(text: str, offset: int) -> None:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    document = parse_yaml(f'k: "{escaped}"', "f.yaml")
    node = locate(root(document), ("k",)).node
    assert node.value == text
    span = text_span(node, offset, 3)
    assert span.line == 0
    if offset < len(text) and text[offset].isalnum():
        assert document.lines[0][span.column] == text[offset]


def test_deep_nesting_is_refused_not_followed() -> None:
    assert codes("a: " + "[" * 500) == ["too-deep"]
    assert codes("a: " + "[" * 100_000) != []
    assert codes("a: " + "[" * (MAX_DEPTH - 1) + "1" + "]" * (MAX_DEPTH - 1)) == []
    assert codes("\n".join(" " * n + "a:" for n in range(300)) + " 1") == ["too-deep"]


def test_a_huge_file_is_refused() -> None:
    assert codes("a: " + "x" * MAX_FILE_BYTES) == ["file-too-large"]


@pytest.mark.parametrize("char", ["\x00", "\x07", "\x7f", "\x85", "\u2028", "\uffff"])
def test_control_characters_are_named_with_their_place(char: str) -> None:
    (finding,) = parse_yaml(f"a: 1\nb: x{char}y\n", "f.yaml").findings
    assert (finding.code, finding.line, finding.column) == ("control-character", 2, 5)
    assert char not in render_finding(finding)


def test_an_escaped_control_character_is_a_value_like_any_other() -> None:
    assert root(parse_yaml('a: "\\u2028\\0"', "f.yaml")).value == {"a": "\u2028\0"}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"a: \xff\n", "not UTF-8: byte 0xff in line 1"),
        (b"a: 1\nb: \xc3(\n", "byte 0xc3 in line 2"),
        ("a: 1".encode("utf-16"), "UTF-16"),
    ],
)
def test_files_in_another_encoding_are_named(raw: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_text(raw)


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    document = parse_yaml(decode_text(b"\xef\xbb\xbfa: 1\r\nb: x y\r\n"), "f.yaml")
    assert root(document).value == {"a": 1, "b": "x y"}
    assert document.findings == []
    key = locate(root(document), ("b",)).key
    assert key is not None
    assert key[:2] == (1, 0)


@given(st.text(alphabet="ab:-?[]{},#&*!|>'\"%@` \n\t\\", max_size=60))
def test_no_text_makes_the_loader_fail(text: str) -> None:
    document = parse_yaml(text, "f.yaml")
    render(document.findings)
    assert document.root is not None or document.findings


def yaml_suite() -> list[tuple[str, str, bool]]:
    """Name, text, and whether it must be refused."""
    cases: dict[str, dict[str, str]] = {}
    with tarfile.open(shared_data() / "nasty" / "yaml-test-suite.tar.gz") as archive:
        for member in archive:
            folder, _, file = member.name.partition("/")[2].rpartition("/")
            if member.isfile() and file in ("in.yaml", "error"):
                data = archive.extractfile(member)
                cases.setdefault(folder, {})[file] = data.read().decode() if data is not None else ""
    return [(name, files["in.yaml"], "error" in files) for name, files in sorted(cases.items())]


def test_the_public_yaml_suite_meets_no_traceback_and_every_bad_document_is_named(tmp_path) -> None:
    from pipeline.config.files import read_config
    from pipeline.config.webhooks import check_files

    suite = yaml_suite()
    assert len(suite) == 402
    assert sum(bad for _, _, bad in suite) == 94
    (tmp_path / "webhooks").mkdir()
    for name, text, _ in suite:
        (tmp_path / "webhooks" / f"{name.replace('/', '-')}.yaml").write_text(text, newline="")
    checked = check_files(read_config(tmp_path))
    assert render(checked.findings)
    named = {finding.file for finding in checked.findings if not finding.warning}
    for name, _, bad in suite:
        assert not bad or f"webhooks/{name.replace('/', '-')}.yaml" in named
    assert checked.webhooks == []
