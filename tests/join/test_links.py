"""Identity: an anonymous id is its user from the link on, and brings what was known of it."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.join.links import Identity
from pipeline.model.records import Event, IdentityLink, Invalid, Origin, PropertyUpdate, Record
from pipeline.model.sizes import Sizes
from pipeline.store.rows import Table
from pipeline.store.store import Store
from tests.kit.examples import examples
from tests.kit.streams import records
from tests.kit.streams.records import link, update

pytestmark = pytest.mark.usefixtures("unsynced")


def event(*, user: str | None = None, anonymous: str | None = None) -> Event:
    return records.event(user_id=user, anonymous_id=anonymous)


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return Identity(Store(tmp_path, map_size=1 << 26))


def keys(identity: Identity, record: Record) -> list[str]:
    return [key for key, _ in identity.resolve(record)]


class Plain:
    """The same rules over plain dicts."""

    def __init__(self) -> None:
        self.links: dict[str, str] = {}
        self.merged: dict[str, str] = {}
        self.profiles: dict[str, dict[str, Any]] = {}

    def current(self, user: str) -> str:
        while user in self.merged:
            user = self.merged[user]
        return user

    def owner(self, user: str | None, anonymous: str | None) -> str:
        if user is not None:
            return f"u:{self.current(user)}"
        linked = self.links.get(str(anonymous))
        return f"a:{anonymous}" if linked is None else f"u:{self.current(linked)}"

    def resolve(self, record: Record) -> list[tuple[str, str, dict[str, Any]]]:
        """Return (key, what, properties) of everything that comes out."""
        if isinstance(record, Event):
            return [(self.owner(record.user_id, record.anonymous_id), "event", {})]
        if isinstance(record, PropertyUpdate):
            if record.user_id is None:
                profile = {} if record.delete else self.profiles.get(str(record.anonymous_id), {})
                profile = {**profile, **record.set}
                profile = {**record.set_once, **profile}
                for name in record.unset:
                    profile.pop(name, None)
                self.profiles[str(record.anonymous_id)] = profile
            return [(self.owner(record.user_id, record.anonymous_id), "update", record.set)]
        assert isinstance(record, IdentityLink)
        user = self.current(record.user_id)
        if record.alias and record.anonymous_id != user:
            self.merged.setdefault(record.anonymous_id, user)
        if record.anonymous_id in self.links:
            return []
        self.links[record.anonymous_id] = user
        profile = self.profiles.pop(record.anonymous_id, {})
        if not profile:
            return []
        return [(f"u:{user}", "set_once", profile), (f"a:{record.anonymous_id}", "delete", {})]


def shown(key: str, record: Record) -> tuple[str, str, dict[str, Any]]:
    if isinstance(record, Event):
        return key, "event", {}
    assert isinstance(record, PropertyUpdate)
    if record.origin.item:
        return key, "set_once", record.set_once
    return (key, "delete", {}) if record.delete and not record.user_id else (key, "update", record.set)


IDS = st.sampled_from(["a", "b", "c", "d", "ä" * 300])
MAYBE = st.none() | IDS
PROPERTIES = st.dictionaries(st.sampled_from("xyz"), st.integers(0, 3), max_size=2)
RECORDS = st.one_of(
    st.builds(lambda user, other: event(user=user, anonymous=other), MAYBE, IDS),
    st.builds(
        lambda user, other, set_, once, unset: update(
            user=user, anonymous=other, set=set_, set_once=once, unset=unset
        ),
        MAYBE, IDS, PROPERTIES, PROPERTIES, st.lists(st.sampled_from("xyz"), max_size=1),
    ),
    st.builds(lambda other, user, alias: link(other, user, alias=alias), IDS, IDS, st.booleans()),
)  # fmt: skip


@given(steps=st.lists(RECORDS | st.sampled_from(["epoch", "restart"]), max_size=30), cache=st.integers(1, 3))
@settings(max_examples=examples(200), deadline=None)
def test_links_do_what_plain_dicts_do_whatever_fits_into_the_cache(steps: list, cache: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), map_size=1 << 26)
        identity, plain = Identity(store, cache), Plain()
        for step in steps:
            if isinstance(step, str):
                store.commit()
                if step == "restart":
                    identity = Identity(store, cache)
                continue
            expected = plain.resolve(step)
            found = [shown(key, record) for key, record in identity.resolve(copy.copy(step))]
            assert found == expected
        store.close()


@pytest.mark.parametrize("alias", [False, True])
def test_an_anonymous_id_may_have_the_text_of_its_user_s(identity: Identity, alias: bool) -> None:
    keys(identity, link("u1", "u1", alias=alias))
    assert keys(identity, event(anonymous="u1")) == keys(identity, event(user="u1")) == ["u:u1"]


def test_an_event_before_the_link_is_anonymous_and_one_after_it_is_the_users(identity: Identity) -> None:
    before, after = event(anonymous="a"), event(anonymous="a")
    assert keys(identity, before) == ["a:a"]
    assert list(identity.resolve(link("a", "u"))) == []
    assert keys(identity, after) == ["u:u"]
    assert (before.user_id, after.user_id, after.anonymous_id) == (None, "u", "a")


def test_an_id_keeps_its_first_user(identity: Identity) -> None:
    list(identity.resolve(link("a", "first")))
    list(identity.resolve(link("a", "second")))
    assert keys(identity, event(anonymous="a")) == ["u:first"]


def test_a_link_brings_the_profile_as_set_once_and_forgets_it_where_it_was(identity: Identity) -> None:
    for change in (
        update(anonymous="a", set={"x": 1, "y": 1}),
        update(anonymous="a", set={"x": 2}, unset=["y"]),
    ):
        assert keys(identity, change) == ["a:a"]
    (key, known), (old, forgotten) = identity.resolve(link("a", "u", offset=7))
    assert isinstance(known, PropertyUpdate)
    assert isinstance(forgotten, PropertyUpdate)
    assert (key, known.user_id, known.set, known.set_once) == ("u:u", "u", {}, {"x": 2})
    assert (old, forgotten.delete, forgotten.user_id) == ("a:a", True, None)
    assert list(identity.resolve(link("a", "u"))) == []


def test_what_a_link_brings_has_another_origin_than_what_its_record_says_itself(identity: Identity) -> None:
    # An identify record with properties is a link and an update: one `changes` webhook may fire for both.
    list(identity.resolve(update(anonymous="a", set={"x": 1})))
    (_, known), _ = identity.resolve(link("a", "u", offset=7))
    assert known.origin[:2] == ("r", 7)
    assert known.origin != Origin("r", 7)


def test_updates_of_a_linked_id_go_to_the_user(identity: Identity) -> None:
    list(identity.resolve(link("a", "u")))
    change = update(anonymous="a", set={"x": 1})
    assert keys(identity, change) == ["u:u"]
    assert change.user_id == "u"


def test_an_alias_moves_a_user_id_too_and_circles_end(identity: Identity) -> None:
    list(identity.resolve(link("old", "new", alias=True)))
    assert keys(identity, event(user="old")) == ["u:new"]
    list(identity.resolve(link("new", "newest", alias=True)))
    assert keys(identity, event(user="old")) == ["u:newest"]
    for one in ("old", "new", "newest"):
        list(identity.resolve(link("newest", one, alias=True)))
    assert {keys(identity, event(user=one))[0] for one in ("old", "new", "newest")} == {"u:newest"}


def test_an_ordinary_link_leaves_a_user_id_of_the_same_text_alone(identity: Identity) -> None:
    list(identity.resolve(link("same", "u")))
    assert keys(identity, event(user="same")) == ["u:same"]


def test_links_survive_a_restart_and_an_undone_link_is_gone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    identity = Identity(store)
    list(identity.resolve(update(anonymous="b", set={"x": 1})))
    list(identity.resolve(link("a", "u")))
    store.commit()
    list(identity.resolve(link("b", "u")))
    store.commit()
    store.close()
    store = Store(tmp_path)
    assert keys(Identity(store), event(anonymous="b")) == ["u:u"]
    store.resume(1)
    identity = Identity(store)
    assert keys(identity, event(anonymous="b")) == ["a:b"]
    assert keys(identity, event(anonymous="a")) == ["u:u"]
    assert len(keys(identity, link("b", "u"))) == 2, "its profile is back as well"
    store.close()


def test_joined_ids_count_after_a_restart_as_before_it(tmp_path: Path) -> None:
    sizes = Sizes(merged=4)
    store = Store(tmp_path)
    identity = Identity(store, sizes=sizes)
    for _ in range(5):  # what is joined already counts no more
        list(identity.resolve(link("a", "u", alias=True)))
    list(identity.resolve(link("b" * 1000, "u", alias=True)))  # counts for two
    store.commit()
    store.close()
    store = Store(tmp_path)
    identity = Identity(store, sizes=sizes)
    assert keys(identity, link("c", "u", alias=True)) == []
    assert len(keys(identity, link("d", "u", alias=True))) == 1, "a dead record: four are joined"
    assert identity.refused == 1
    store.close()


def test_a_circle_that_two_partitions_made_together_ends_for_who_comes_to_it_from_outside(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    store.put(Table.MERGED, b"a", b'["a","b"]')
    store.put(Table.MERGED, b"b", b'["b","a"]')
    identity = Identity(store)
    list(identity.resolve(link("c", "a", alias=True)))
    assert keys(identity, event(user="c")) in (["u:a"], ["u:b"])
    store.close()


@pytest.mark.parametrize("sizes", [Sizes(user_properties=2), Sizes(user_bytes=40)])
def test_an_update_that_makes_a_profile_too_large_changes_nothing(tmp_path: Path, sizes: Sizes) -> None:
    store = Store(tmp_path)
    identity = Identity(store, sizes=sizes)
    list(identity.resolve(update(anonymous="a", set={"x": 1})))
    list(identity.resolve(update(anonymous="a", set={"y": "0123456789" * 2, "z": "0123456789"})))
    list(identity.resolve(update(anonymous="a", set={"w": 2})))
    (_, brought), _ = identity.resolve(link("a", "u"))
    assert isinstance(brought, PropertyUpdate)
    assert brought.set_once == {"x": 1, "w": 2}
    store.close()


def test_an_invalid_record_goes_by_its_origin(identity: Identity) -> None:
    bad = Invalid(b"{", "why", Origin("r", 3, 1))
    assert list(identity.resolve(bad)) == [("r:3#1", bad)]


def test_a_profile_without_properties_leaves_no_row(tmp_path: Path) -> None:
    store = Store(tmp_path)
    identity = Identity(store)
    list(identity.resolve(update(anonymous="a", set={"x": 1})))
    list(identity.resolve(update(anonymous="a", unset=["x"])))
    store.commit()
    assert list(store.committed(Table.PROFILES, b"", b"")) == []
    store.close()
