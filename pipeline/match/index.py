"""Finds the webhooks that may want an event without evaluating those that cannot.

Two dictionary look-ups, by kind and by name, lead to a plan made at load: the webhooks that an event of this
kind and name can concern, in config order. Most plans are empty or one webhook. Where many webhooks listen
for one name, those that need a certain value of one property are found by that value, and a clause shared by
several is evaluated once per event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from pipeline.language.paths import Getter
from pipeline.language.work import BUDGET, TooExpensive, begin, spend
from pipeline.match.conditions.nodes import Node, Predicate, all_of, any_of
from pipeline.match.labels import UPDATE
from pipeline.match.triggers import Trigger
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Value
from pipeline.model.records import Event, User

Found: TypeAlias = tuple[int, ...]
Plan: TypeAlias = "Found | Callable[[Event], Found]"
"""Constant where nothing on the event's side remains to be evaluated."""

_NOBODY: Final = User(None, None, identified=False)
"""Passed to predicates that take a user: the event's side never reads it."""
_SPLIT_FROM: Final = 8
"""From this many webhooks on one name it pays to find them by value (measured)."""
_NAMED: Final = 10_000
"""Names whose result `named` caches; anybody may make up more."""


@dataclass(slots=True, eq=False)
class _Candidate:
    """One webhook that an event of this name and kind may concern, and what to evaluate."""

    index: int
    clauses: tuple[Node, ...]
    ways: Predicate | None
    """Tells which alternative of `events` holds, where name and kind do not decide it."""


class CostlyExclude(InvalidRecord):
    """An excluded label costs more than one webhook may spend: whether it holds is unknown."""

    def __init__(self, label: str, found: Found) -> None:
        super().__init__(
            f"too-expensive: this event makes more than {BUDGET:,} steps of work for the label `{label}`, "
            "which `exclude` asks"
        )
        self.label = label
        self.found = found
        """What `select` returns for the webhooks that ignore it (`include_excluded`)."""


class TriggerIndex:
    """The triggers of a config; an index is a webhook's position in the given sequence."""

    def __init__(self, triggers: Sequence[Trigger]) -> None:
        self._triggers = tuple(triggers)
        self._by_name: dict[str, list[int]] = {}
        self._any_name: list[int] = []
        kinds: set[str] = set()
        for index, trigger in enumerate(self._triggers):
            for one in trigger.events:
                kinds |= one.kinds or frozenset()
                if one.names is None:
                    self._any_name.append(index)
                for name in one.names or ():
                    self._by_name.setdefault(name, []).append(index)
        self._other = self._tables(None)
        self._by_kind: dict[str, tuple[dict[str, Plan], Plan]] = {
            kind: self._tables(kind) for kind in kinds - {UPDATE}
        }
        self._by_kind[UPDATE] = ({}, ())
        self._changes = tuple(
            (index, trigger.changes)
            for index, trigger in enumerate(self._triggers)
            if trigger.changes is not None
        )
        self._named: dict[tuple[str, str | None], Found] = {}
        self.changes_wanted: bool = bool(self._changes)
        """True where any webhook fires on property changes."""

    def select(self, event: Event) -> Found:
        """Return the webhooks, in config order, whose name, kind and event side hold for the event.

        One whose conditions cost more than allowed is returned as ``~index``: whether it wants the event is
        unknown. Raises CostlyExclude where that is so of an excluded label, which every webhook evaluates
        alike.
        """
        by_name, default = self._by_kind.get(event.kind, self._other)
        plan = by_name.get(event.name, default)
        if type(plan) is tuple:
            return plan
        try:
            return plan(event)  # type: ignore[operator] # mypy does not narrow by type()
        except TooExpensive:
            return self._one_by_one(event)

    def _one_by_one(self, event: Event) -> Found:
        """Evaluate each webhook with a budget of its own: together they exceed that of one."""
        kind = event.kind if event.kind in self._by_kind else None
        found: list[int] = []
        asked: set[str] = set()
        costly: str | None = None
        for candidate in self._candidates(kind, event.name):
            excludes = self._triggers[candidate.index].excludes
            if costly in excludes:
                continue
            plan = _compile([candidate])
            begin(event, _NOBODY)
            try:
                found += plan if isinstance(plan, tuple) else plan(event)
            except TooExpensive:
                if costly is None:
                    costly = _costly(event, {name: excludes[name] for name in excludes if name not in asked})
                    asked.update(excludes)
                if costly not in excludes:
                    found.append(~candidate.index)
        if costly is not None:
            raise CostlyExclude(costly, tuple(found))
        return tuple(found)

    def wants(self, name: str, kind: str | None) -> bool:
        """Return False where `select` finds nothing for any event of this name and kind (None: unknown)."""
        if kind is None:
            return any(
                by_name.get(name, default) != ()
                for by_name, default in (self._other, *self._by_kind.values())
            )
        by_name, default = self._by_kind.get(kind, self._other)
        return by_name.get(name, default) != ()

    def named(self, name: str, kind: str) -> Found:
        """Return the webhooks whose `events` may mean an event of this name and kind, whatever it holds."""
        key = (name, kind if kind in self._by_kind else None)
        found = self._named.get(key)
        if found is None:
            if len(self._named) >= _NAMED:
                self._named = {}
            found = tuple(one.index for one in self._candidates(key[1], name))
            self._named[key] = found
        return found

    def on_change(self, changed: Collection[str]) -> Found:
        """Return the webhooks that listen for a change of one of these properties."""
        if not changed:
            return ()
        return tuple(
            index
            for index, wanted in self._changes
            if wanted == "*" or any(name in wanted for name in changed)
        )

    def _tables(self, kind: str | None) -> tuple[dict[str, Plan], Plan]:
        plans: dict[str, Plan] = {}
        for name in self._by_name:
            plans[name] = self._unbuilt(plans, kind, name)
        return plans, _compile(self._candidates(kind, None))

    def _unbuilt(self, plans: dict[str, Plan], kind: str | None, name: str) -> Plan:
        """Return a plan that builds the real one on first use: the start must not pay for all names."""

        def build(event: Event) -> Found:
            plan = plans[name] = _compile(self._candidates(kind, name))
            return plan if isinstance(plan, tuple) else plan(event)

        return build

    def _candidates(self, kind: str | None, name: str | None) -> list[_Candidate]:
        named = self._by_name.get(name, []) if name is not None else []
        return [
            candidate
            for index in sorted({*named, *self._any_name})
            if (candidate := _candidate(index, self._triggers[index], kind, name)) is not None
        ]


def _costly(event: Event, excludes: Mapping[str, Predicate]) -> str | None:
    """Return the excluded label that exceeds the budget of a webhook by itself; None: none does."""
    for name, holds in excludes.items():
        begin(event, _NOBODY)
        try:
            holds(event, _NOBODY, None)
        except TooExpensive as error:
            # It may be cheap, and the others have used up the budget.
            if not error.for_all:
                return name
    return None


def _candidate(index: int, trigger: Trigger, kind: str | None, name: str | None) -> _Candidate | None:
    ways = [
        one
        for one in trigger.events
        if (one.names is None or name in one.names) and (one.kinds is None or kind in one.kinds)
    ]
    if not ways:
        return None
    clauses = tuple(node for node in trigger.nodes if not node.reads_user)
    sides = [one.condition.event_side for one in ways]
    if None in sides:
        return _Candidate(index, clauses, None)
    if len(ways) == 1:
        of_label = tuple(node for node in ways[0].condition.nodes if not node.reads_user)
        return _Candidate(index, of_label + clauses, None)
    return _Candidate(index, clauses, any_of([side for side in sides if side is not None]))


def _compile(candidates: Sequence[_Candidate], split_by: frozenset[str] = frozenset()) -> Plan:
    if not any(candidate.clauses or candidate.ways for candidate in candidates):
        return tuple(candidate.index for candidate in candidates)
    if len(candidates) == 1:
        only = candidates[0]
        ways = [] if only.ways is None else [only.ways]
        test, found = all_of([*(node.test for node in only.clauses), *ways]), (only.index,)
        return lambda event: found if test(event, _NOBODY, None) else ()
    if len(candidates) >= _SPLIT_FROM:
        needed = _most_needed(candidates, split_by)
        if needed is not None:
            return _by_value(candidates, needed, split_by)
    return _several(candidates)


def _several(candidates: Sequence[_Candidate]) -> Plan:
    """Evaluate each candidate, but every shared clause only once per event."""
    uses = Counter(key for candidate in candidates for key in {node.key for node in candidate.clauses})
    slots = {key: slot for slot, key in enumerate(key for key, count in uses.items() if count > 1)}
    rows = []
    for candidate in candidates:
        shared = tuple((slots[node.key], node.test) for node in candidate.clauses if node.key in slots)
        own = [node.test for node in candidate.clauses if node.key not in slots]
        if candidate.ways is not None:
            own.append(candidate.ways)
        rows.append((candidate.index, shared, all_of(own) if own else None))
    unknown: list[bool | None] = [None] * len(slots)

    def several(event: Event) -> Found:
        verdicts = unknown.copy()
        found = []
        for index, shared, own in rows:
            for slot, test in shared:
                verdict = verdicts[slot]
                if verdict is None:
                    verdict = verdicts[slot] = test(event, _NOBODY, None)
                if not verdict:
                    break
            else:
                if own is None or own(event, _NOBODY, None):
                    found.append(index)
        return tuple(found)

    return several


def _most_needed(candidates: Sequence[_Candidate], split_by: frozenset[str]) -> str | None:
    """Return the path for which most candidates need a certain value, if these are many enough."""
    needs = Counter(
        path
        for candidate in candidates
        for path in {node.path for node in candidate.clauses if node.values and node.path is not None}
        if path not in split_by
    )
    if not needs:
        return None
    path, count = max(needs.items(), key=lambda item: (item[1], item[0]))
    return path if count >= _SPLIT_FROM else None


def _by_value(candidates: Sequence[_Candidate], path: str, split_by: frozenset[str]) -> Plan:
    """Evaluate only the candidates that fit the event's value, and those that do not need the path."""
    by_value: dict[Value, list[_Candidate]] = {}
    rest: list[_Candidate] = []
    read: Getter | None = None
    for candidate in candidates:
        node = next((node for node in candidate.clauses if node.values and node.path == path), None)
        if node is None:
            rest.append(candidate)
            continue
        read = node.read
        for value in dict.fromkeys(node.values):
            by_value.setdefault(value, []).append(candidate)
    assert read is not None
    get, split = read, split_by | {path}
    others = _compile(rest, split)
    plans: dict[Value, Plan] = {}

    def plan_of(values: Collection[Value]) -> Plan:
        # Without the rest, which would be repeated for each of many values.
        wanted = {id(one): one for value in values for one in by_value.get(value, ())}
        return _compile(sorted(wanted.values(), key=lambda one: one.index), split)

    def find(event: Event) -> Found:
        value: Value = get(event, _NOBODY, None)
        kind = type(value)
        plan: Plan = ()
        if kind is str or kind is int or kind is float:
            if value in by_value:
                plan = plans.get(value, ())
                if not plan:
                    plan = plans[value] = plan_of((value,))
        elif kind is list:
            # Not cached: there may be as many lists as events.
            spend(event, _NOBODY, len(value))
            plan = plan_of({one for one in value if type(one) in (str, int, float)})
        found = plan if isinstance(plan, tuple) else plan(event)
        besides = others if isinstance(others, tuple) else others(event)
        return tuple(sorted(found + besides)) if found and besides else found or besides

    return find
