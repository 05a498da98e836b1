"""A compiled condition: predicates, and enough about each clause to explain and index it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pipeline.language.paths import Getter, Scope
from pipeline.model.json import Value
from pipeline.model.records import Event, User

Predicate: TypeAlias = Callable[[Event, User, Scope], bool]


@dataclass(slots=True, eq=False)
class Node:
    """One clause, or a group of them."""

    test: Predicate
    key: str
    """Nodes with equal keys have equal results for every event: the index evaluates such clauses once."""
    reads_user: bool
    text: str
    """The clause as a person would write it."""
    kind: Literal["clause", "all", "any", "not", "label", "any_element"] = "clause"
    children: tuple[Node, ...] = ()
    path: str | None = None
    read: Getter | None = None
    operand: Value = None
    values: tuple[Value, ...] = ()
    """Texts and numbers one of which must occur for the clause to hold; () where there is no such set."""
    depth: int = field(init=False)
    """Nesting depth of clauses, labels included."""

    def __post_init__(self) -> None:
        self.depth = 1 + max([child.depth for child in self.children], default=0)


@dataclass(slots=True, eq=False)
class Condition:
    """A condition tree, split by what it reads: event_side and user_side together are the whole."""

    whole: Predicate
    event_side: Predicate | None
    """Reads the event alone; None: nothing to check."""
    user_side: Predicate | None
    """What remains to check when the event side holds; None: nothing."""
    nodes: tuple[Node, ...] = ()
    """The clauses that must all hold."""

    @property
    def reads_user(self) -> bool:
        """True where it depends on the user."""
        return self.user_side is not None


def holds_always(event: Event, user: User, scope: Scope) -> bool:
    """Return True."""
    return True


def all_of(tests: Sequence[Predicate]) -> Predicate:
    """Return the conjunction; an empty one always holds."""
    if not tests:
        return holds_always
    if len(tests) == 1:
        return tests[0]
    first, second, *rest = tests
    if not rest:
        return lambda event, user, scope: first(event, user, scope) and second(event, user, scope)
    if len(rest) == 1:
        third = rest[0]
        return lambda event, user, scope: (
            first(event, user, scope) and second(event, user, scope) and third(event, user, scope)
        )
    every = tuple(tests)

    def test(event: Event, user: User, scope: Scope) -> bool:
        for one in every:  # noqa: SIM110 - a generator costs more than the clauses
            if not one(event, user, scope):
                return False
        return True

    return test


def any_of(tests: Sequence[Predicate]) -> Predicate:
    """Return the disjunction of at least one test."""
    if len(tests) == 1:
        return tests[0]
    first, second, *rest = tests
    if not rest:
        return lambda event, user, scope: first(event, user, scope) or second(event, user, scope)
    every = tuple(tests)

    def test(event: Event, user: User, scope: Scope) -> bool:
        for one in every:  # noqa: SIM110 - a generator costs more than the clauses
            if one(event, user, scope):
                return True
        return False

    return test


def none_of(test: Predicate) -> Predicate:
    """Return the negation."""
    return lambda event, user, scope: not test(event, user, scope)


def flatten(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """Return the clauses of nested `all` groups: a conjunction of conjunctions is one."""
    found: list[Node] = []
    for node in nodes:
        if node.kind == "all":
            found.extend(flatten(node.children))
        else:
            found.append(node)
    return tuple(found)


def conjunction(nodes: Iterable[Node]) -> Condition:
    """Return the condition that all nodes hold, split into the event's side and the rest."""
    flat = flatten(nodes)
    event_side = [node.test for node in flat if not node.reads_user]
    user_side = [node.test for node in flat if node.reads_user]
    return Condition(
        whole=all_of([node.test for node in flat]),
        event_side=all_of(event_side) if event_side else None,
        user_side=all_of(user_side) if user_side else None,
        nodes=flat,
    )


def group(kind: Literal["all", "any", "not"], nodes: Sequence[Node]) -> Node:
    """Return the node of a group; `not` has exactly one child."""
    tests = [node.test for node in nodes]
    return Node(
        test=all_of(tests) if kind == "all" else any_of(tests) if kind == "any" else none_of(tests[0]),
        key=f"{kind}({','.join(node.key for node in nodes)})",
        reads_user=any(node.reads_user for node in nodes),
        text=kind,
        kind=kind,
        children=tuple(nodes),
    )


def all_nodes(nodes: Iterable[Node | None]) -> Node | None:
    """Return the conjunction of these nodes; faulty ones (None) are skipped."""
    found = [node for node in nodes if node is not None]
    if len(found) <= 1:
        return found[0] if found else None
    return group("all", found)
