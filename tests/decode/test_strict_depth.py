"""How deep a JSON text is nested, told by its brackets: texts in it may hold as many as they like."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decode.raw.strict import MAX_DEPTH, depth, loads
from pipeline.decode.raw.strict import _depth_of as depth_of
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json

TEXTS = st.text('"\\[]{}aé ', max_size=5)
VALUES = st.recursive(
    st.none() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=30,
)


@given(value=VALUES, levels=st.integers(0, 30), indent=st.sampled_from([None, 1]), ascii=st.booleans())
def test_the_brackets_of_a_text_tell_what_its_value_does(
    value: Json, levels: int, indent: int | None, ascii: bool
):
    for _ in range(levels):
        value = [value]
    assert depth_of(json.dumps(value, indent=indent, ensure_ascii=ascii).encode()) == depth(value)


@pytest.mark.parametrize("many", [1, 300])
@pytest.mark.parametrize("noise", ["", "[[[[", "]}", '\\"[', "\\\\"])
def test_one_level_too_many_is_refused_wherever_it_stands(many: int, noise: str):
    text = f'["{noise}", "{{"]'
    for levels, is_fine in [(MAX_DEPTH - 2, True), (MAX_DEPTH - 1, False)]:
        nested = "[" * levels + text + "]" * levels
        line = ("[" + ",".join([text] * many + [nested]) + "]").encode()
        if is_fine:
            loads(line)
        else:
            with pytest.raises(InvalidRecord, match="nested more than 200 levels"):
                loads(line)
