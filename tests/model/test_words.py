from __future__ import annotations

import pytest

from pipeline.model.words import without_addresses


@pytest.mark.parametrize(
    ("reason", "plain"),
    [
        (repr(object()), "<object object>"),
        ("ssl:<ssl.SSLContext object at 0x7f0a1B> [reset]", "ssl:<ssl.SSLContext object> [reset]"),
        ("<function f at 0x1> and <X object at 0x2>", "<function f> and <X object>"),
        ("the value is 0x10, found at line 3", "the value is 0x10, found at line 3"),
    ],
)
def test_a_reason_holds_no_address_of_an_object(reason: str, plain: str) -> None:
    assert without_addresses(reason) == plain
