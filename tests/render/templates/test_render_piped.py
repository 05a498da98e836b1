"""A path with filters is read without python-liquid, and means what it means there."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.errors import RenderError
from pipeline.render.templates import piped
from tests.render.rendering import a_user, an_event, read_request

PROPERTIES = {"text": "a b", "n": 7, "list": [1, "b", None], "object": {"a": 1}, "none": None, "": 1}
WORDS = (
    *("event.properties.text", "event.properties.n", "event.properties.list", "event.properties['object']"),
    *("event.properties.gone", "event.properties.none", "user.id", "vars.x", "evnt.id", "item", "plain"),
    *(
        "'a'",
        '"b c"',
        "'{'",
        "'${A}'",
        "'it",
        "5",
        "-2",
        "1.5",
        "2.",
        "1..3",
        "(1..3)",
        "true",
        "nil",
        "empty",
    ),
    *("99999999999999999999", "9" * 30, "9" * 5000, "blank", "and", "contains", "a[", "+", "${A}"),
)
FILTERS = (
    "upcase",
    "default",
    "plus",
    "join",
    "replace",
    "json",
    "date",
    "pick",
    "round",
    "upcas",
    "d",
    "a.b",
)
PIECES = st.sampled_from(
    (*WORDS, *FILTERS, "|", "|", ":", ":", ",", "allow_false: true", "nothing: 1", "if", "else", "==", "||")
)
CALLS = st.builds(
    "{} | {}{}".format,
    st.sampled_from(WORDS),
    st.sampled_from(FILTERS),
    st.lists(st.sampled_from(WORDS), max_size=3).map(lambda given: ": " + ", ".join(given) if given else ""),
)
EXPRESSIONS = st.one_of(CALLS, CALLS, st.lists(PIECES, max_size=8).map(" ".join))
TEXTS = st.lists(
    st.one_of(
        *[EXPRESSIONS.map(lambda one: "{{ " + one + " }}")] * 3,
        st.sampled_from(("x ", "\n", "${TOK}", "{{-", "-}}", "{% if true %}y{% endif %}", "}}")),
    ),
    max_size=3,
).map("".join)


def meaning(text: str) -> tuple[Any, ...]:
    """Return the problems of a text in a body, an address and a header, and what it becomes."""
    request = {"body": {"v": text}, "url": f"https://x.example/{text}", "headers": {"x-a": text}}
    template, problems = read_request(request, vars={"x": 5})
    if template is None or problems.errors:
        return (problems.found,)
    try:
        return problems.found, template.render(an_event(PROPERTIES), a_user({"plan": "pro"}))
    except RenderError as error:
        return problems.found, str(error)


@given(TEXTS)
def test_reading_without_the_template_engine_changes_nothing(text: str) -> None:
    ours = meaning(text)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(piped, "read", lambda text: None)
        assert ours == meaning(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ event.id | upcase }}",
        "{{ event.properties.n | plus: 1, }}",
        "a {{ user.properties.a | default: 'x', allow_false: true }} b {{ 'c' }}",
        "{{event.properties.list|join:','|upcase}}\n",
        "{{ event.properties.text | replace: 'a', event.properties.n }}",
    ],
)
def test_what_is_plain_is_read_without_it(text: str) -> None:
    assert (piped.read(text) is None) == text.endswith(", }}")


def test_white_space_costs_no_more_than_its_length() -> None:
    """With the square of it these take minutes, and the test runs into its limit."""
    body = [f"{{{{ event.id{' ' * 60_000}| append: '{number}' }}}}" for number in range(30)]
    template, problems = read_request({"body": {"v": body}})
    assert template is not None
    assert not problems.found
    assert orjson.loads(template.render(an_event(id="e"), a_user()).body)["v"] == [f"e{n}" for n in range(30)]
