"""Placeholders: reading, resolving, filling, masking."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.language.secrets import (
    PlaceholderError,
    SecretRef,
    Secrets,
    origin_end,
    origin_refs,
    parse_placeholders,
)
from pipeline.language.slots import OPEN, fill, header_safe, mask, slot
from pipeline.model.errors import ConfigError, RenderError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("plain $ text {", ["plain $ text {"]),
        ("${A}", [SecretRef("A")]),
        ("x${A}y${B_2}", ["x", SecretRef("A"), "y", SecretRef("B_2")]),
        ("${A:-b:-c}", [SecretRef("A", "b:-c")]),
        ("${A:-}", [SecretRef("A", "")]),
        ("${file:certs/a b.pem}", [SecretRef("file:certs/a b.pem")]),
        ("$${A} ${B}", ["${A} ", SecretRef("B")]),
        ("${{ amount }}", ["${{ amount }}"]),
        ("$${{ amount }}", ["$${{ amount }}"]),
        ("$$A", ["$$A"]),
    ],
)
def test_placeholders_are_read(text: str, parts: list[str | SecretRef]) -> None:
    assert parse_placeholders(text) == parts


@pytest.mark.parametrize(
    "text", ["a ${", "a ${}", "a ${1A}", "a ${A B}", "a ${A:b}", "a ${file:}", "a ${A\n}"]
)
def test_what_is_no_placeholder_is_an_error_with_its_place(text: str) -> None:
    with pytest.raises(PlaceholderError) as caught:
        parse_placeholders(text)
    assert caught.value.offset == 2
    assert "$${" in str(caught.value.hint)


@given(st.text(alphabet="${}aA:-_ f", max_size=12))
def test_reading_never_fails_otherwise(text: str) -> None:
    where = None
    parts: list[str | SecretRef] = []
    try:
        parts = parse_placeholders(text)
    except PlaceholderError as error:
        where = error.offset
    assert where is None or text[where : where + 2] == "${"
    assert all(isinstance(part, SecretRef) or part for part in parts)


@given(
    st.builds(
        SecretRef,
        st.from_regex(r"[A-Z_][A-Z0-9]{0,5}", fullmatch=True),
        st.none() | st.text("ab:- ", max_size=5),
    )
)
def test_a_reference_survives_being_written(ref: SecretRef) -> None:
    assert SecretRef.parse(ref.source) == ref


def test_values_come_from_environment_default_and_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from file\n")
    secrets = Secrets({"A": "1", "EMPTY": ""}, tmp_path)
    assert secrets.expand("a${A}b${B:-2}c${file:key}$${x}") == "a1b2cfrom file${x}"
    assert secrets.resolve(SecretRef("EMPTY", "d")) == "d"
    assert secrets.known(SecretRef("A"))
    assert not secrets.known(SecretRef("B"))
    assert not secrets.known(SecretRef("file:nope"))


def test_a_missing_secret_says_its_name() -> None:
    with pytest.raises(ConfigError, match=r"\$\{NOPE\}: the variable is not set"):
        Secrets({}).resolve(SecretRef("NOPE"))
    with pytest.raises(ConfigError, match=r"\$\{file:nope\}: the file cannot be read"):
        Secrets({}, Path("/nowhere")).resolve(SecretRef("file:nope"))


def test_an_empty_file_is_no_secret_until_it_holds_one(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("\n")
    secrets = Secrets({}, tmp_path)
    assert not secrets.known(SecretRef("file:key"))
    (tmp_path / "key").write_text("abc\n")
    assert (secrets.reread(), secrets.reread()) == (False, True)
    assert secrets.resolve(SecretRef("file:key")) == "abc"


def test_values_are_read_once(tmp_path: Path) -> None:
    environ = {"A": "1"}
    secrets = Secrets(environ)
    assert secrets.resolve(SecretRef("A")) == "1"
    environ["A"] = "2"
    assert secrets.resolve(SecretRef("A")) == "1"


@pytest.mark.parametrize(
    ("url", "origin", "settings"),
    [
        ("https://x.example/a/${B}", "https://x.example", []),
        ("${A}://${B}:${C}/d/${E}", "${A}://${B}:${C}", ["A", "B", "C"]),
        ("${BASE}/d/${E}", "${BASE}", ["BASE"]),
        ("https://${A:-x/y}?b", "https://${A:-x/y}", ["A"]),
        ("https://x.example", "https://x.example", []),
        ("https://${", "https://${", []),
    ],
)
def test_what_stands_before_the_path_is_settings(url: str, origin: str, settings: list[str]) -> None:
    assert url[: origin_end(url)] == origin
    assert [ref.key for ref in origin_refs(url)] == settings


A = slot(SecretRef("A"))
FILE = slot(SecretRef("file:k"))


def test_slots_are_filled_and_masked() -> None:
    secrets = Secrets({"A": 'v"/ü'})
    url = f"https://x.example/{A}?q={A}"
    assert mask(url) == "https://x.example/${A}?q=%24%7BA%7D"
    assert mask(f"Bearer {A}") == "Bearer ${A}"
    assert mask(f'{{"a":"{A}"}}'.encode()) == b'{"a":"${A}"}'
    assert mask(FILE) == "${file:k}"
    filled, _, body = fill(url, (), f'{{"a":"{A}"}}'.encode(), encoding="json", secrets=secrets)
    assert filled == "https://x.example/v%22/%C3%BC?q=v%22%2F%C3%BC"
    assert body == '{"a":"v\\"/ü"}'.encode()
    assert OPEN in url
    assert OPEN not in filled
    assert OPEN.encode() not in body


def test_a_request_without_slots_is_not_touched() -> None:
    headers = (("a", "b"),)
    assert fill("https://x/", headers, b"{}", encoding="json", secrets=Secrets({})) == (
        "https://x/",
        headers,
        b"{}",
    )


def test_a_secret_that_a_header_cannot_carry_is_named_not_shown() -> None:
    secrets = Secrets({"A": "canary\r\nX: y"})
    with pytest.raises(RenderError) as caught:
        fill("https://x/", (("a", A),), b"", encoding="json", secrets=secrets)
    assert "${A}" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("text", ["a\rb", "a\nb", "a\x00", "ü", "\x7f", "\x01"])
def test_header_safe_refuses(text: str) -> None:
    assert not header_safe(text)
    assert header_safe("a\tb ~")


def test_a_file_of_a_secret_is_read_again_once_it_has_come_to_rest(tmp_path: Path) -> None:
    path, ref = tmp_path / "token", SecretRef("file:token")
    path.write_text("old\n")
    secrets = Secrets({}, tmp_path)
    assert (secrets.resolve(ref), secrets.reread()) == ("old", False)
    path.write_text("half")
    assert (secrets.reread(), secrets.resolve(ref)) == (False, "old"), "it may be half-written"
    path.write_text("half and half")
    assert (secrets.reread(), secrets.resolve(ref)) == (False, "old")
    assert (secrets.reread(), secrets.resolve(ref)) == (True, "half and half")
    assert not secrets.reread()


@pytest.mark.parametrize("left", ["gone", "empty", "the same"])
def test_a_file_without_a_new_value_keeps_the_old_one(tmp_path: Path, left: str) -> None:
    path, ref = tmp_path / "token", SecretRef("file:token")
    path.write_text("old")
    secrets = Secrets({}, tmp_path)
    secrets.resolve(ref)
    path.unlink()
    if left != "gone":
        path.write_text("" if left == "empty" else "old\n")
    assert [secrets.reread() for _ in range(3)] == [False] * 3
    assert secrets.resolve(ref) == "old"
    path.write_text("newest")
    assert [secrets.reread() for _ in range(3)] == [False, True, False]


def test_a_file_that_was_missing_is_found_later(tmp_path: Path) -> None:
    secrets, ref = Secrets({}, tmp_path), SecretRef("file:token")
    assert not secrets.known(ref)
    (tmp_path / "token").write_text("there")
    assert [secrets.reread(), secrets.reread()] == [False, True]
    assert secrets.resolve(ref) == "there"


def test_a_variable_is_read_once() -> None:
    environ = {"TOKEN": "old"}
    secrets = Secrets(environ)
    assert secrets.resolve(SecretRef("TOKEN")) == "old"
    environ["TOKEN"] = "new"
    assert not secrets.reread()
    assert secrets.resolve(SecretRef("TOKEN")) == "old"
