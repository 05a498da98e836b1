from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.yaml.loader import parse_yaml
from pipeline.config.yaml.scalars import resolve


def value_of(text: str) -> object:
    root = parse_yaml(text, "f.yaml").root
    assert root is not None
    return root.value


@pytest.mark.parametrize(
    "text",
    [
        *("NO", "no", "yes", "on", "12:30", "010", "1_000", "+4915", "1e3", "2026-01-01", ".nan"),
        *(".inf", "0x1F", "0o7", "1.", ".5", "-x", "--1", "1-2", "True", "TRUE", "Null", "~", "nullx"),
        *("trues", "٣", "1٠"),
    ],
)
def test_everything_but_json_notation_stays_text(text: str) -> None:
    assert value_of(f"a: {text}") == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    {
        "true": True,
        "false": False,
        "null": None,
        "0": 0,
        "-0": 0,
        "5": 5,
        "-17": -17,
        "1.50": 1.5,
        "-0.5": -0.5,
        str(2**64 - 1): 2**64 - 1,
        str(-(2**63)): -(2**63),
    }.items(),
)
def test_json_constants_and_numbers_are_values(text: str, value: object) -> None:
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", [str(2**64), str(-(2**63) - 1), "9" * 5000, "1" + "0" * 400 + ".0"])
def test_numbers_that_no_receiver_can_read_back_are_errors(text: str) -> None:
    document = parse_yaml(f"a: {text}", "f.yaml")
    assert [finding.code for finding in document.findings] == ["number-too-large"]


@given(st.integers(-(2**63), 2**64 - 1))
def test_integers_keep_every_digit(number: int) -> None:
    assert resolve(str(number)) == number


@pytest.mark.parametrize("text", ["True", "FALSE", "Null", "~"])
def test_a_constant_in_another_spelling_is_text_with_a_warning(text: str) -> None:
    (finding,) = parse_yaml(f"a: {text}", "f.yaml").findings
    assert (finding.code, finding.warning, finding.column) == ("looks-like-constant", True, 4)


def test_quoted_text_is_never_anything_else() -> None:
    text = "a: 'true'\nb: \"5\"\nc: |\n  null\n"
    assert value_of(text) == {"a": "true", "b": "5", "c": "null\n"}
    assert parse_yaml(text, "f.yaml").findings == []


def test_keys_are_always_text() -> None:
    assert value_of("204: a\ntrue: b\nnull: c\n") == {"204": "a", "true": "b", "null": "c"}
