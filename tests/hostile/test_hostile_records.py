"""Records that are built to be slow to read, and ids that are built to be slow to follow."""

from __future__ import annotations

import pytest

from pipeline.decode.elements import MAX_CHAIN, MAX_ELEMENTS, parse_hierarchy, read_elements
from pipeline.join.links import Identity
from pipeline.model.json import Json
from pipeline.model.records import IdentityLink, Origin
from pipeline.render.filters.lists import uniq
from pipeline.render.values.printing import Failure
from pipeline.store.memory import MemoryRows
from tests.kit.records import event

pytestmark = pytest.mark.timeout(20)

LONG = 2_000_000


@pytest.mark.parametrize(
    "chain",
    [
        ";" * LONG,
        ":" * LONG,
        '\\"' * LONG,
        'a:x="' + "b" * LONG,
        "a." * LONG,
        "[" + ".a" * LONG,
        ('a:x="' + '\\"' * 50 + ";") * (LONG // 100),
        "a" + ':b="c"' * (LONG // 6),
        [{"tag_name": "a", "attr_class": ["b"] * LONG}],
        [{"tag_name": "a", "attributes": {f"attr__{n}": "v" for n in range(200_000)}}] * 3,
    ],
    ids=lambda chain: str(chain)[:20],
)
def test_a_chain_is_read_within_its_limit(chain: Json):
    elements = read_elements(chain)
    assert len(elements) <= MAX_ELEMENTS
    assert len(str(elements)) < 40 * MAX_CHAIN


def test_a_long_chain_keeps_its_innermost_elements():
    chain = ";".join(f'a.c{n}:href="/{n}"' for n in range(3))
    assert read_elements(f"{chain};{'b' * LONG}") == read_elements(chain)


def test_a_long_hierarchy_keeps_its_innermost_elements():
    found = parse_hierarchy("@html;|" + "@div;|" * 100_000 + "@a;#x;")
    assert found[0]["id"] == "x"
    assert len(found) == MAX_ELEMENTS


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("a.w-[1.5px].b", ["w-[1.5px]", "b"]),
        ("a.w-[calc(1.5)].b", ["w-[calc(1.5)]", "b"]),
        ("a.py-2.5.b", ["py-2.5", "b"]),
        ("a.(x.y).z", ["(x.y)", "z"]),
        ("a.[x", ["[x"]),
    ],
)
def test_dots_inside_of_brackets_and_numbers_are_kept(head: str, names: list[str]):
    assert read_elements(head)[0]["classes"] == names


class CountedDict(dict[str, str]):
    """Counts how often it is asked."""

    asked = 0

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override] # as it is used here
        self.asked += 1
        return super().get(key, default)


def test_a_chain_of_aliases_is_walked_once():
    identity, length = Identity(MemoryRows()), 20_000
    for number in range(length):
        link = IdentityLink(f"u{number}", f"u{number + 1}", None, Origin("r", number), alias=True)
        list(identity.link(link))
    merged = identity._merged = CountedDict(identity._merged)
    for user in ("u0", "u0", "u1", "u19000"):
        record = event("e", user_id=user)
        assert identity.own(record) == f"u:u{length}"
        assert record.user_id == f"u{length}"
    assert merged.asked < length + 20
    list(identity.link(IdentityLink(f"u{length}", "last", None, Origin("r", length), alias=True)))
    assert identity.own(event("e", user_id="u0")) == "u:last"


def test_a_circle_of_aliases_from_an_older_version_ends():
    rows = MemoryRows()
    identity = Identity(rows)
    identity._merged.update({"a": "b", "b": "c", "c": "a"})
    assert identity.own(event("e", user_id="a")) == "u:c"
    assert identity.own(event("e", user_id="a")) == "u:c"


def test_uniq_keeps_no_more_than_a_filter_may_make():
    with pytest.raises(Failure, match="more than 100,000 elements"):
        uniq(list(range(101_000)))
    assert uniq([5, 5.0, "5", True, "x" * 50, "x" * 50, {"a": 5}, {"a": 5.0}]) == [
        5,
        "5",
        True,
        "x" * 50,
        {"a": 5},
    ]
