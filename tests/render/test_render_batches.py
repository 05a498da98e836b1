"""Bodies of batches: how an array is split, and how rendered bodies become one."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.config.models.webhooks.delivery import BatchSettings
from pipeline.config.yaml.diagnostics import Problems
from pipeline.language.secrets import Secrets
from pipeline.render.wrap import compile_wrap, split_array


@pytest.mark.parametrize(
    ("body", "elements"),
    [
        (b"[]", []),
        (b"[1]", [b"1"]),
        (b'[{"a":[1,2],"b":"],["},"\\",[",[3]]', [b'{"a":[1,2],"b":"],["}', b'"\\",["', b"[3]"]),
        (b'["\x01TOK\x02",1]', [b'"\x01TOK\x02"', b"1"]),
    ],
)
def test_an_array_is_split_as_it_is_written(body: bytes, elements: list[bytes]) -> None:
    assert split_array(body) == elements


def wrap(**batch: Any) -> tuple[Any, list[str]]:
    problems = Problems()
    made = compile_wrap(
        BatchSettings(**batch), vars={"v": 1}, problems=problems, file="w.yaml", secrets=Secrets({"TOK": "t"})
    )
    return made, [problem.message for problem in problems.found]


def test_batches_are_arrays_lines_or_wrapped() -> None:
    bodies = [b'{"a":1}', b'[{"index":{}},{"b":"x,[\\"\\n"}]', b'{"k":"\x01TOK\x02"}']
    assert wrap()[0](bodies) == b"[" + b",".join(bodies) + b"]"
    assert wrap(as_="ndjson")[0](bodies) == b'{"a":1}\n{"index":{}}\n{"b":"x,[\\"\\n"}\n{"k":"\x01TOK\x02"}\n'
    made, found = wrap(wrap={"data": "{{ items }}", "key": "${TOK}", "v": "{{ vars.v }}", "on": True})
    assert not found
    assert made(bodies) == b'{"data":[' + b",".join(bodies) + b'],"key":"\x01TOK\x02","v":1,"on":true}'


def test_each_batch_has_a_whole_budget() -> None:
    made, found = wrap(wrap={"data": "{{ items }}", "n": "{% for i in (1..9000) %}{% endfor %}{{ vars.v }}"})
    assert not found
    for _ in range(100):
        assert made([b"1"]) == b'{"data":[1],"n":"1"}'


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"wrap": {"data": 1}}, "no place for the items"),
        ({"wrap": {"data": "{{ items | size }}"}}, "`items` stands alone"),
        ({"wrap": {"data": "{{ items }}", "n": "{{ event.id }}"}}, "`event` is not known here"),
        ({"wrap": {"data": "{{ items }}"}, "as_": "ndjson"}, "keep one"),
        ({"wrap": {"data": [{"$for": "{{ items }}", "a": "{{ item.a }}"}]}}, "`$for` cannot look into"),
        ({"wrap": {"$spread": "{{ items }}"}}, "`$spread` cannot look into"),
        (
            {"wrap": {"data": "{{ items }}", "n": "{{ vars.v | split: '' | plus: 1 }}"}},
            "for every batch: plus",
        ),
        ({"wrap": {"data": "{{ items }}", "at": "{{ 'now' | date: '%F' }}"}}, "there is no `now`"),
    ],
)
def test_a_mistake_in_a_wrap_is_found_at_load(batch: dict[str, Any], message: str) -> None:
    assert any(message in found for found in wrap(**batch)[1])
