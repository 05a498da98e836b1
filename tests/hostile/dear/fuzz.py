"""Made-up conditions, templates and answers over made-up values: nothing but a verdict comes out. Made-up
slips in files: `check` and the editor agree on them.

The suite tries a few of each, always the same; `make fuzz` goes on for as long as it is told. A find is printed
with the words that make it again.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from itertools import count
from typing import Final

import orjson
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from pipeline.config.yaml.diagnostics import Problems
from pipeline.deliver.http.attempt import Attempt
from pipeline.deliver.http.target import NOWHERE
from pipeline.deliver.requests.answers import Unreadable, read_success
from pipeline.deliver.requests.spec import LaneSpec, Reads
from pipeline.language import work
from pipeline.language.work import TooExpensive
from pipeline.match.conditions.compile import compile_condition
from pipeline.match.conditions.nodes import Predicate
from pipeline.match.operators.conversions import CONVERSIONS
from pipeline.match.operators.table import OPERATORS
from pipeline.match.verdicts import explain
from pipeline.model.errors import RenderError
from pipeline.model.json import Value
from pipeline.render.filters.table import FILTERS
from tests.kit.streams.records import event, user
from tests.operate.slips import disagreement
from tests.render.rendering import read_request

# --- values

# ruff: noqa: E501 - tables read best with a row a line
_WORDS: Final = ("a", "b", "", "A", "ß", "x" * 300, "5", "-0", "1e400", "2026-11-23T14:50:00Z", "10.0.0.1", "::1", "1.2.3",
                 "a@b.de", "http://x/y", "%c", "..", "\x01", "\u2028", "\x00", "now", "&lt;b>", "Europe/Berlin")  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([1 << 53, -(1 << 63), (1 << 64) - 1, 1_795_435_200]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(_WORDS),
    st.text(st.characters(codec="utf-8"), max_size=8),
)
NAMES = st.sampled_from(("a", "b", "k"))
VALUES: st.SearchStrategy[Value] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
MANY: st.SearchStrategy[Value] = st.builds(
    lambda value, times: [value] * times, VALUES, st.sampled_from((300, 4_000, 30_000))
)
PROPERTIES = st.dictionaries(NAMES, VALUES | VALUES | VALUES | MANY, max_size=3)

# --- conditions

PATHS = st.sampled_from(
    [
        f"{root}.properties.{rest}"
        for root in ("event", "user")
        for rest in ("a", "b.k", "a[*]", "a[*].k", "b[0]")
    ]
    + ["event.time", "event.name", "user.id", "event.context.a"]
)
OPERANDS = st.one_of(
    SCALARS,
    st.lists(SCALARS, min_size=1, max_size=4),
    st.builds(lambda path: {"path": path}, PATHS),
    st.sampled_from(["-30d", "now", ["09:00", "17:00"], ["mon", "fri"], [1, 5], ".*a$", "(a?){50}", "*/**"]),
)


@st.composite
def _asked(draw: st.DrawFn) -> dict[str, Value]:
    """Return up to three operators and modifiers."""
    modifiers: dict[str, st.SearchStrategy[Value]] = {
        "as": st.sampled_from(sorted(CONVERSIONS)),
        "ignore_case": st.booleans(),
        "tz": st.sampled_from(["Europe/Berlin", "event.properties.a"]),
    }
    words = draw(
        st.lists(st.sampled_from([*OPERATORS, *modifiers, "as"]), min_size=1, max_size=3, unique=True)
    )
    return {word: draw(modifiers.get(word, OPERANDS)) for word in words}


CLAUSES = st.builds(lambda path, said: {path: said}, PATHS, _asked() | _asked() | OPERANDS)
TREES: st.SearchStrategy[Value] = st.recursive(
    CLAUSES,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
        st.builds(lambda path, part: {"any_element": {path: part}}, PATHS, inner),
        st.builds(lambda path, said: {"any_element": {path: {"k": said}}}, PATHS, OPERANDS),
    ),
    max_leaves=5,
)

# --- templates

EXPRESSIONS = st.builds(
    lambda path, calls: " | ".join([path, *calls]),
    st.sampled_from(
        ["event.properties.a", "event.properties.b", "user.properties.a", "event", "user", "'x'", "5"]
    ),
    st.lists(
        st.one_of(
            st.sampled_from([example.call for each in FILTERS.values() for example in each.examples]),
            st.sampled_from([f"{name}: event.properties.b" for name in FILTERS]),
            st.sampled_from(sorted(FILTERS)),
        ),
        max_size=4,
    ),
)
TEXTS = st.one_of(
    st.builds(lambda one: f"{{{{ {one} }}}}", EXPRESSIONS),
    st.builds(lambda one, other: f"a {{{{ {one} }}}}{{{{ {other} }}}}", EXPRESSIONS, EXPRESSIONS),
    st.builds(
        lambda one: f"{{% for i in event.properties.a %}}{{{{ {one} }}}}{{{{ i }}}}{{% endfor %}}",
        EXPRESSIONS,
    ),
    st.builds(lambda one: f"{{% if {one} %}}a{{% else %}}b{{% endif %}}", EXPRESSIONS),
    st.builds(lambda one: f"{{% assign x = {one} %}}{{{{ x | json }}}}", EXPRESSIONS),
)
BODIES: st.SearchStrategy[Value] = st.recursive(
    TEXTS,
    lambda inner: st.one_of(
        st.dictionaries(NAMES, inner, min_size=1, max_size=3),
        st.lists(inner, max_size=3),
        st.builds(lambda do: {"$for": "{{ event.properties.a }}", "$do": do}, inner),
        st.builds(lambda tree, one, other: {"$if": tree, "$then": one, "$else": other}, TREES, inner, inner),
        st.builds(lambda one: {"$spread": "{{ event.properties.b }}", "x": one}, inner),
    ),
    max_leaves=4,
)
REQUESTS = st.fixed_dictionaries(
    {"body": BODIES},
    optional={
        "missing": st.sampled_from(["null", "omit", "omit_empty", "dead_letter"]),
        "encoding": st.sampled_from(["json", "form", "text"]),
        "headers": st.builds(lambda text: {"x-a": text}, TEXTS),
        "url": st.builds(lambda text: f"https://x.example/{text}", TEXTS),
        "query": st.builds(lambda text: {"q": text}, TEXTS),
    },
)

# --- answers

ANSWERS = st.one_of(
    VALUES.map(orjson.dumps),
    st.builds(lambda failed: orjson.dumps({"failed": failed, "ok": False}), VALUES),
    st.builds(lambda value, at: orjson.dumps(value)[:at], VALUES, st.integers(0, 40)),
    st.binary(max_size=60),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from(
            ["application/json", "text/html; charset=utf-16", "x; charset=\x00", ";"]
        ),
        "content-encoding": st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, gzip", "identity", ","]),
    },
)


def _in_loops(tree: Value, problems: Problems) -> Predicate:
    return compile_condition(tree, problems, roots=("event", "user", "vars", "item", "index")).whole


def verdict(ask: Callable[[], object]) -> object:
    """Return what comes out within a budget, or that it is too much or cannot be; the work counted is bounded."""
    work.begin(None, None)
    try:
        return ask()
    except (TooExpensive, RenderError, Unreadable) as error:
        return str(error)
    finally:
        # What would take more is given up before it is begun.
        assert work._work.used <= work.RECORD, "the budget of all is kept"


def try_condition(tree: Value, here: dict[str, Value], there: dict[str, Value]) -> None:
    """A condition holds or not, twice the same, on its sides as on the whole, and as explain says."""
    problems = Problems()
    compiled = compile_condition(tree, problems)
    if problems.errors:
        return
    one, who = event(properties=here), user(there)
    found = verdict(lambda: compiled.whole(one, who, None))
    again = compile_condition(tree, Problems())
    assert verdict(lambda: again.whole(one, who, None)) == found
    if type(found) is not bool:
        return
    sides = [side for side in (compiled.event_side, compiled.user_side) if side is not None]
    parted = verdict(lambda: all(side(one, who, None) for side in sides))
    assert parted is found or type(parted) is str, "the sides make the whole"
    said = explain(compiled.nodes, one, who)
    if not any("too-expensive" in clause.text for clause in said):
        assert all(clause.holds for clause in said if clause.depth == 0) is found, "explain agrees"


def try_template(request: dict[str, Value], here: dict[str, Value], there: dict[str, Value]) -> None:
    """A request is made or cannot be, for the same reason each time it is compiled."""
    template, problems = read_request(request, condition=_in_loops)
    if template is None or problems.errors:
        return
    one, who = event(properties=here), user(there)
    made = verdict(lambda: template.render(one, who))
    other, _ = read_request(request, condition=_in_loops)
    assert other is not None
    assert verdict(lambda: other.render(one, who)) == made


def try_answer(answer: bytes, headers: dict[str, str], tree: Value, members: int, cut: bool) -> None:
    """An answer is read and judged, or cannot be; of what was not wholly read nothing is believed."""
    problems = Problems()
    written = (
        orjson.dumps(tree).replace(b"event.properties", b"response").replace(b"user.properties", b"response")
    )
    text = orjson.loads(written)
    fails = compile_condition(text, problems, roots=("response", "vars")).whole
    attempt = Attempt(NOWHERE, b"", b"", items=(None,) * members, status=200, answer=answer, cut=cut)
    attempt.headers = headers
    spec = LaneSpec("w", fail_when=fails, reads=Reads(fields=True, body=True))
    said = verdict(lambda: read_success(attempt, spec))
    assert type(said) is str or not cut, "a cut answer is not understood"
    if problems.errors or type(said) is str:
        return
    assert isinstance(said, tuple)
    found = verdict(lambda: fails(None, None, {"response": said[1]}))  # type: ignore[arg-type] # as the engine asks
    assert type(found) in (bool, str)


def try_slip(number: int) -> None:
    """`check` and the schema agree on a file with slips."""
    assert disagreement(random.Random(number)) is None


_BOTH: Final = {"here": PROPERTIES, "there": PROPERTIES}
TRIED: dict[str, tuple[Callable[..., None], dict[str, st.SearchStrategy[Value]]]] = {
    "condition": (try_condition, {"tree": TREES, **_BOTH}),
    "template": (try_template, {"request": REQUESTS, **_BOTH}),
    "answer": (
        try_answer,
        {
            **{"answer": ANSWERS, "headers": HEADERS, "tree": CLAUSES},
            **{"members": st.integers(1, 3), "cut": st.booleans()},
        },
    ),
    "slip": (try_slip, {"number": st.integers(0, 1 << 62)}),
}
"""What is tried, and what it is given."""
_QUIET: Final = settings(
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)


def attempt_all(name: str, examples: int, number: int) -> None:
    """Try so many examples of one kind, always the same for a seed; raises what is found."""
    attempt, strategies = TRIED[name]
    seed(number)(settings(_QUIET, max_examples=examples)(given(**strategies)(attempt)))()


def main() -> None:
    """Try all kinds in turn, with a new seed each, until the time is over."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=None, help="the first seed; without one, by the clock")
    parser.add_argument("--only", choices=sorted(TRIED), help="one kind alone")
    parser.add_argument("--examples", type=int, default=500, help="of each kind and seed")
    said = parser.parse_args()
    first = time.time_ns() // 1_000_000_000 if said.seed is None else said.seed
    ends, tried = time.monotonic() + said.seconds, 0
    for number in count(first):
        for name in [said.only] if said.only else TRIED:
            try:
                attempt_all(name, said.examples, number)
            except BaseException:
                print(
                    f"\nagain: make fuzz ARGS='--only {name} --seed {number} --examples {said.examples}'",
                    flush=True,
                )
                raise
            tried += said.examples
        print(f"seed {number}: {tried:,} examples, nothing found", flush=True)
        if time.monotonic() > ends:
            return


if __name__ == "__main__":
    main()
