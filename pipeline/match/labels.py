"""Labels: named definitions over raw events or users (LANGUAGE 7).

A label is a union of alternatives. Each says which event names and kinds it can apply to at all, so that the
trigger index evaluates it only for those, and which clauses must then hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Literal

from pipeline.config.models.webhooks.label import LabelEntry, LabelFile
from pipeline.config.yaml.diagnostics import Problems
from pipeline.language.paths import Scope
from pipeline.match.captures import compile_capture
from pipeline.match.conditions.compile import compile_condition
from pipeline.match.conditions.nodes import Condition, Node, any_of, conjunction
from pipeline.match.operators.suspects import looks_like_list
from pipeline.model.records import Event, User

UPDATE: Final = "update"
"""The kind of a property change, which is no event: names and labels over events never match it."""


@dataclass(slots=True, eq=False)
class Alternative:
    """One way for an event to match: name, kind and condition, as far as given, must all hold."""

    names: frozenset[str] | None
    """None: any name."""
    kinds: frozenset[str] | None
    """None: any kind."""
    condition: Condition
    about_events: bool = True
    """False: a condition without names, which also holds for property changes."""

    def matches(self, event: Event, user: User, scope: Scope = None) -> bool:
        """Return True where the event matches, the user's side included."""
        return self._carries(event) and self.condition.whole(event, user, scope)

    def may_match(self, event: Event, user: User, scope: Scope = None) -> bool:
        """Return True where the event's side holds: the event matches, or it depends on the user."""
        event_side = self.condition.event_side
        return self._carries(event) and (event_side is None or event_side(event, user, scope))

    def _carries(self, event: Event) -> bool:
        return (
            (self.names is None or event.name in self.names)
            and (self.kinds is None or event.kind in self.kinds)
            and not (self.about_events and event.kind == UPDATE)
        )


@dataclass(slots=True, eq=False)
class Label:
    """One compiled label."""

    name: str
    alternatives: tuple[Alternative, ...]
    node: Node

    @property
    def about_users_only(self) -> bool:
        """True for a label about users, not events."""
        return all(
            not one.about_events and one.condition.event_side is None and one.condition.user_side is not None
            for one in self.alternatives
        )


class Labels:
    """All labels of a config. Compiled on first use, in any order of reference."""

    def __init__(
        self,
        files: Iterable[tuple[LabelFile, Problems]] = (),
        lists: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._lists = lists or {}
        self._files: dict[str, tuple[LabelFile, Problems]] = {}
        self._compiled: dict[str, Label] = {}
        self._open: list[str] = []
        for file, problems in files:
            if file.name in self._files:
                problems.error(("name",), "duplicate-label", f"there is another label `{file.name}`")
            else:
                self._files[file.name] = (file, problems)

    def names(self) -> Collection[str]:
        """Return the names of all labels."""
        return self._files.keys()

    def node(self, name: str) -> Node | None:
        """Return the label as a condition, or None where there is no such label."""
        label = self.get(name)
        return None if label is None else label.node

    def get(self, name: str) -> Label | None:
        """Return the label, or None where there is none of that name."""
        if name in self._compiled:
            return self._compiled[name]
        if name not in self._files:
            return None
        if name in self._open:
            self._cycle(name)
            return Label(name, (), _never(name))
        problems = self._files[self._open[0] if self._open else name][1]
        if len(self._open) >= MAX_CHAIN and not problems.stored:
            problems.error((), "too-deep", f"labels refer to one another in a chain of more than {MAX_CHAIN}")
            return Label(name, (), _never(name))
        self._open.append(name)
        label = self._compile(*self._files[name])
        self._open.pop()
        self._compiled[name] = label
        return label

    def _cycle(self, name: str) -> None:
        inner = self._open[-1]
        chain = [*self._open[self._open.index(name) :], name]
        message = f"labels refer to one another in a circle: {' -> '.join(chain)}"
        hint = f"take `{name}` out of the label `{inner}`"
        if inner == name:
            hint = "give the label another name than the event"
        self._files[inner][1].error((), "label-cycle", message, hint=hint)

    def _compile(self, file: LabelFile, problems: Problems) -> Label:
        alternatives: list[Alternative] = []
        if file.any_ is None:
            alternatives += self._entry(file, problems)
        for index, entry in enumerate(file.any_ or ()):
            alternatives += self._entry(entry, problems.at("any", index))
            if _too_many(file.name, len(alternatives), problems.at("any", index)):
                break
        if not alternatives and not problems.errors:
            problems.error((), "empty-condition", f"the label `{file.name}` matches nothing")
        return Label(file.name, tuple(alternatives), _union(file.name, alternatives))

    def _entry(self, entry: LabelFile | LabelEntry, problems: Problems) -> list[Alternative]:
        nodes: list[Node] = []
        kinds: frozenset[str] | None = None
        if entry.capture is not None:
            kinds, captured = compile_capture(entry.capture, problems.at("capture"))
            nodes += captured
        if entry.where is not None:
            where = compile_condition(
                entry.where, problems.at("where"), labels=self, lists=self._lists, in_label=True
            )
            nodes += where.nodes
        if entry.events == []:
            hint = "name one, or leave it out"
            problems.refuse(("events",), "empty-list", "`events` names no event", hint=hint)
        if entry.events is None:
            if not nodes and kinds is None:
                return []
            return [Alternative(None, kinds, conjunction(nodes), about_events=entry.capture is not None)]
        return self.alternatives(entry.events, problems.at("events"), kinds, nodes)

    def alternatives(
        self,
        names: list[str],
        problems: Problems,
        kinds: frozenset[str] | None = None,
        nodes: Iterable[Node] = (),
    ) -> list[Alternative]:
        """Return the alternatives of a list of names and labels; kinds and nodes must hold as well."""
        also = tuple(nodes)
        found: list[Alternative] = []
        plain: list[str] = []
        for index, name in enumerate(names):
            if not name:
                problems.error((index,), "wrong-name", f"{name!r} is no event name")
            elif name == "*":
                found.append(Alternative(None, kinds, conjunction(also)))
            elif (label := self.get(name)) is not None:
                if label.about_users_only and label.alternatives:
                    message = f"the label `{name}` is about users, not about events"
                    hint = f"use it in a condition: where: [{{label: {name}}}]"
                    problems.error((index,), "wrong-label", message, hint=hint)
                if _too_many(name, len(found) + len(label.alternatives), problems.at(index)):
                    break
                found += [_narrowed(one, kinds, also) for one in label.alternatives]
            else:
                _warn_name(name, problems.at(index))
                plain.append(name)
        if plain:
            found.insert(0, Alternative(frozenset(plain), kinds, conjunction(also)))
        return [one for one in found if one.kinds is None or one.kinds]


MAX_CHAIN: Final = 50
"""Maximum length of a chain of labels that refer to one another."""
MAX_ALTERNATIVES: Final = 1_000
"""Maximum number of ways a label, or `events`, can match: unions of unions multiply."""


def _too_many(name: str, number: int, problems: Problems) -> bool:
    """Refuse a label with too many ways to match, where files are read."""
    if number <= MAX_ALTERNATIVES or problems.stored:
        return False
    message = f"with the label `{name}` there are more than {MAX_ALTERNATIVES:,} ways to match"
    hint = "name events together in one list, or use the label in a condition: where: [{label: ...}]"
    problems.error((), "too-many-alternatives", message, hint=hint)
    return True


_PATTERN: Final = re.compile(r"/(.*[][.*+?^$(){}\\].*)/", re.DOTALL)
"""`/^Order/`, as other products write patterns; `/pricing/` is a page."""


def _warn_name(name: str, problems: Problems) -> None:
    """Warn of a name that looks like a list or a pattern, with what to write instead."""
    if (told := looks_like_list(name)) is not None:
        problems.warn((), "looks-like-list", told[0], hint=told[1])
    elif (pattern := _PATTERN.fullmatch(name)) is not None:
        hint = f'for a pattern write `"*"` here, and where: {{event.name: {{regex: "{pattern[1]}"}}}}'
        problems.warn((), "looks-like-pattern", f"`{name}` is a name here, and no pattern", hint=hint)
    elif "*" in name:
        hint = f'for a pattern write `"*"` here, and where: {{event.name: {{glob: "{name}"}}}}'
        problems.warn((), "looks-like-pattern", f"`{name}` is a name here, and no pattern", hint=hint)


def compile_labels(
    files: Iterable[tuple[LabelFile, Problems]],
    *,
    lists: Mapping[str, Collection[str]] | None,
) -> Labels:
    """Return the labels of these files (with their problem collectors); every one is checked."""
    labels = Labels(files, lists)
    for name in labels.names():
        labels.get(name)
    return labels


def _narrowed(one: Alternative, kinds: frozenset[str] | None, nodes: tuple[Node, ...]) -> Alternative:
    both = one.kinds if kinds is None else kinds if one.kinds is None else one.kinds & kinds
    condition = conjunction([*one.condition.nodes, *nodes]) if nodes else one.condition
    return Alternative(one.names, both, condition)


def _union(name: str, alternatives: list[Alternative]) -> Node:
    if not alternatives:
        return _never(name)
    return Node(
        test=any_of([one.matches for one in alternatives]),
        key=f"label({name})",
        reads_user=any(one.condition.reads_user for one in alternatives),
        text=f"label: {name}",
        kind="any",
        children=tuple(explained(one) for one in alternatives),
    )


def explained(one: Alternative) -> Node:
    """Return an alternative as a group with name and kind as clauses of their own, for explain."""
    children = list(one.condition.nodes)
    if one.kinds is not None:
        children.insert(0, _one_of("kind", one.kinds))
    if one.names is not None:
        children.insert(0, _one_of("name", one.names))
    return Node(one.matches, "", one.condition.reads_user, "all", kind="all", children=tuple(children))


def _one_of(field: Literal["kind", "name"], wanted: frozenset[str]) -> Node:
    ordered = sorted(wanted)
    shown = ordered[0] if len(ordered) == 1 else f"[{', '.join(ordered)}]"
    read: Callable[[Event], str] = attrgetter(field)

    def test(event: Event, user: User, scope: Scope) -> bool:
        return read(event) in wanted and (field == "kind" or event.kind != UPDATE)

    return Node(
        test,
        "",
        reads_user=False,
        text=f"event.{field}: {shown}",
        path=f"event.{field}",
        read=lambda event, user, scope: read(event),
    )


def _never(name: str) -> Node:
    return Node(lambda event, user, scope: False, f"label({name})", reads_user=False, text=f"label: {name}")
