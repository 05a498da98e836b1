"""A text in another charset is read where its content type says so, and never taken for another one."""

from __future__ import annotations

import pytest

from pipeline.model.charsets import NotInCharset, decoded, in_utf8

TEXT = '{"city":"Köln"}'


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("iso-8859-1", "latin-1"),
        ('"ISO-8859-1"', "latin-1"),
        ("windows-1252", "cp1252"),
        ("utf-16", "utf-16"),
        ("UTF-16LE", "utf-16-le"),
        ("utf-8", "utf-8"),
        ("iso-8859-1", "utf-8"),  # some libraries name what they do not write
        ("utf-16", "utf-8"),
    ],
)
def test_a_text_in_the_charset_of_its_content_type_is_read(charset: str, codec: str) -> None:
    content_type = f"application/json; charset={charset}"
    assert in_utf8(TEXT.encode(codec), content_type).decode() == TEXT


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "text/plain; charset=rot13", "x; charset=utf-8"]
)
def test_what_names_no_other_charset_stays_as_it_is(content_type: str) -> None:
    assert in_utf8(TEXT.encode("latin-1"), content_type) == TEXT.encode("latin-1")


def test_what_is_not_in_its_charset_is_told() -> None:
    with pytest.raises(NotInCharset, match="shift-jis"):
        in_utf8(b"\xa0\xff", "text/plain; charset=Shift_JIS")
    with pytest.raises(NotInCharset, match="utf-8"):
        decoded(b"\xff", "text/plain")
