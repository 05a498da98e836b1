"""Records that are built to be slow to read, and ids that are built to be slow to follow."""

from __future__ import annotations

import re

import orjson
import pytest

from pipeline.decode.builtin.elements import MAX_CHAIN, MAX_ELEMENTS, parse_hierarchy, read_elements
from pipeline.decode.scan import Scanned, scan
from pipeline.join.links import Identity
from pipeline.join.users import Users
from pipeline.model.json import Json
from pipeline.model.records import IdentityLink, Invalid, Origin
from pipeline.model.sizes import KEPT_BYTES, USUAL, Sizes
from pipeline.render.filters.lists import uniq
from pipeline.render.values.printing import Failure
from pipeline.sources.chunk import NOWHERE, RawChunk
from pipeline.store.memory import MemoryRows
from tests.kit.named import cut
from tests.kit.streams.records import event, update

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
    ids=cut(20),
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


# --- sizes at the door


def scanned(*records: bytes, sizes: Sizes = USUAL) -> Scanned:
    chunk = RawChunk("p", "r.jsonl", list(range(len(records))), list(records), NOWHERE)
    return scan(chunk, wants=lambda name, kind: name == "bought", sizes=sizes)


def track(**fields: Json) -> bytes:
    return orjson.dumps({"type": "track", "event": "bought", "userId": "u", "messageId": "m", **fields})


SMALL = Sizes(record_bytes=4_000, members=3, id_chars=64)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (track(properties={"x": "y" * 4_000}), r"the record has 4,\d+ bytes; `limits.record` allows 4,000"),
        (b"\xff" * 5_000, "the record has 5,000 bytes"),
        (
            orjson.dumps({"batch": [orjson.loads(track())] * 4}),
            "`batch` holds 4 records; `limits.members` all",
        ),
        (orjson.dumps([orjson.loads(track())] * 4), "`the list` holds 4 records"),
        (track(userId="u" * 65), "the user id has 65 characters; `limits.id` allows 64"),
        (track(messageId="m" * 65), "the id has 65 characters"),
        (track(anonymousId="a" * 65), "the anonymous id has 65 characters"),
        (orjson.dumps({"type": "identify", "userId": "u" * 65, "traits": {}}), "the user id has"),
        (orjson.dumps({"type": "alias", "userId": "u" * 65, "previousId": "p"}), "the user id has"),
    ],
    ids=cut(30),
)
def test_what_is_too_large_is_one_invalid_record_with_its_reason(record: bytes, reason: str):
    found = scanned(track(), record, track(), sizes=SMALL)
    assert (found.read, found.events, found.invalid) == (3, 2, 1)
    (broken,) = [one for one in found.records if isinstance(one, Invalid)]
    assert re.match(reason, broken.reason)
    assert len(broken.raw) <= KEPT_BYTES


def test_what_is_as_large_as_allowed_is_read():
    large = orjson.dumps({"batch": [orjson.loads(track(userId="u" * 64))] * 3})
    assert scanned(large, sizes=SMALL).events == 3
    record = track(properties={"x": "y" * 1_000_000})
    assert scanned(record).events == 1
    assert scanned(record + b" " * 100_000).invalid == 1


# --- users


def grown(sizes: Sizes, updates: list[dict[str, Json]], flush_each: int) -> tuple[dict[str, Json], int]:
    users = Users(MemoryRows(), sizes=sizes)
    for number, said in enumerate(updates):
        users.apply("u:u", update(user="u", set=said), "p")
        if number % flush_each == 0:
            users.flush()
    return users.get("u:u"), users.refused


@pytest.mark.parametrize("flush_each", [1, 3, 100])
@pytest.mark.parametrize(
    ("updates", "kept", "refused"),
    [
        ([{f"k{n}": n} for n in range(12)], 10, 2),
        ([{f"k{n}": n for n in range(11)}, {"a": 1}], 1, 1),
        ([{f"k{n}": 1 for n in range(10)}, {"k0": 2, "k9": 3}, {"new": 1}], 10, 1),
        ([{"a": "x" * 900}, {"b": "y" * 900}, {"a": ""}, {"b": "y" * 900}], 2, 1),
        ([{"a": "\x01" * 160}, {"b": "ä" * 300}, {"c": [["x"] * 10] * 40}], 1, 2),
    ],
)
def test_a_user_grows_to_its_limit_and_no_further(
    updates: list[dict[str, Json]], kept: int, refused: int, flush_each: int
):
    sizes = Sizes(user_properties=10, user_bytes=1_024)
    properties, counted = grown(sizes, updates, flush_each)
    assert (len(properties), counted) == (kept, refused)
    assert len(orjson.dumps(properties)) <= 1_024
