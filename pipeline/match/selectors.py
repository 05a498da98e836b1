"""CSS selectors over the element chain of an autocaptured event.

cssselect2 parses; matching is our own, because a chain is not a document: it holds one element and its
ancestors, with each one's index among its siblings but not the siblings. What cannot be known from it (`+`,
`~`, `:last-child`, `:has()`, states such as `:hover`) is refused at load, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from cssselect2 import parser
from tinycss2.nth import parse_nth

from pipeline.model.json import Value

Chain: TypeAlias = Sequence[dict[str, Value]]
"""Innermost element first, as in Event.elements."""
Positions: TypeAlias = Callable[["_Asked"], frozenset[int]]
Simple: TypeAlias = Callable[["_Asked", int], bool]

_MAX_SELECTOR: Final = 2_000
_FIRST: Final = {"first-child": "nth_child", "first-of-type": "nth_of_type"}
_NTH: Final = {"nth-child": "nth_child", "nth-of-type": "nth_of_type"}


class _Asked:
    """One chain, with the matches of nested selectors cached."""

    __slots__ = ("chain", "found")

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.found: dict[int, frozenset[int]] = {}


class SelectorError(ValueError):
    """A selector that is invalid, or needs what an element chain does not contain."""


def compile_selector(text: str) -> Callable[[Chain], bool]:
    """Return a test: does any element of the chain match one of the comma-separated selectors?

    Any element, not only the innermost: a click on the icon inside a button is a click on the button.
    """
    if len(text) > _MAX_SELECTOR:
        raise SelectorError(f"the selector is longer than {_MAX_SELECTOR} characters")
    try:
        positions = [_selector(selector) for selector in parser.parse(text)]
    except parser.SelectorError as error:
        raise SelectorError(str(error.args[-1])) from None
    except RecursionError:
        raise SelectorError("the selector is nested too deeply") from None

    def matches(chain: Chain) -> bool:
        asked = _Asked(chain)
        return any(found(asked) for found in positions)

    return matches


def _selector(selector: Any) -> Positions:
    if selector.pseudo_element is not None:
        raise SelectorError(f"`::{selector.pseudo_element}` is no element that can be clicked")
    return _tree(selector.parsed_tree)


def _tree(tree: Any) -> Positions:
    """Return the positions where a selector matches: linear in the chain, whatever the combinators."""
    if isinstance(tree, parser.CompoundSelector):
        compound = _compound(tree)
        return lambda asked: frozenset(at for at in range(len(asked.chain)) if compound(asked, at))
    if tree.combinator not in (" ", ">"):
        raise SelectorError(f"`{tree.combinator}` needs siblings, which an element chain does not hold")
    outer, inner = _tree(tree.left), _compound(tree.right)
    if tree.combinator == ">":
        return lambda asked: frozenset(at - 1 for at in outer(asked) if at and inner(asked, at - 1))

    def descendants(asked: _Asked) -> frozenset[int]:
        outermost = max(outer(asked), default=0)
        return frozenset(at for at in range(outermost) if inner(asked, at))

    return descendants


def _compound(compound: Any) -> Simple:
    tests = [_simple(simple) for simple in compound.simple_selectors]
    return lambda asked, at: all(test(asked, at) for test in tests)


def _inner(selector: Any) -> Positions:
    """Return the positions of a nested selector."""
    positions = _selector(selector)

    def once(asked: _Asked) -> frozenset[int]:
        found = asked.found.get(id(once))
        if found is None:
            found = asked.found[id(once)] = positions(asked)
        return found

    return once


def _simple(simple: Any) -> Simple:
    match simple:
        case parser.LocalNameSelector():
            tag = simple.lower_local_name
            return lambda asked, at: _lower(asked.chain[at].get("tag")) == tag
        case parser.IDSelector():
            wanted = simple.ident
            return lambda asked, at: _attribute(asked.chain[at], "id") == wanted
        case parser.ClassSelector():
            name = simple.class_name
            return lambda asked, at: name in (asked.chain[at].get("classes") or ())
        case parser.AttributeSelector():
            return _attribute_test(simple)
        case parser.NegationSelector():
            refused = [_inner(inner) for inner in simple.selector_list]
            return lambda asked, at: not any(at in found(asked) for found in refused)
        case parser.MatchesAnySelector() | parser.SpecificityAdjustmentSelector():
            accepted = [_inner(inner) for inner in simple.selector_list]
            if not accepted:
                raise SelectorError("`:is()` without a valid selector never matches")
            return lambda asked, at: any(at in found(asked) for found in accepted)
        case parser.PseudoClassSelector() if simple.name in _FIRST:
            field = _FIRST[simple.name]
            return lambda asked, at: asked.chain[at].get(field) == 1
        case parser.FunctionalPseudoClassSelector() if simple.name in _NTH:
            return _nth(_NTH[simple.name], simple)
        case parser.PseudoClassSelector() | parser.FunctionalPseudoClassSelector():
            raise SelectorError(f"`:{simple.name}` cannot be known from an element chain")
        case parser.RelationalSelector():
            raise SelectorError("`:has()` cannot be known from an element chain")
    raise SelectorError("namespaces are not in an element chain")


def _nth(field: str, simple: Any) -> Simple:
    parsed = parse_nth(simple.arguments)
    if parsed is None:
        raise SelectorError(f"`:{simple.name}()` takes a number, odd, even or a form such as 2n+1")
    step, first = parsed

    def test(asked: _Asked, at: int) -> bool:
        place = asked.chain[at].get(field)
        if type(place) is not int:
            return False
        if step == 0:
            return bool(place == first)
        return bool((place - first) % step == 0 and (place - first) // step >= 0)

    return test


def _attribute_test(simple: Any) -> Simple:
    name, operator, value = simple.lower_name, simple.operator, simple.value
    if operator is None:
        return lambda asked, at: _attribute(asked.chain[at], name) is not None
    folded = simple.case_sensitive is False
    wanted = value.lower() if folded else value
    compare = _ATTRIBUTE_OPERATORS[operator]

    def test(asked: _Asked, at: int) -> bool:
        found = _attribute(asked.chain[at], name)
        return found is not None and compare(found.lower() if folded else found, wanted)

    return test


_ATTRIBUTE_OPERATORS: Final[dict[str, Callable[[str, str], bool]]] = {
    "=": lambda found, wanted: found == wanted,
    "~=": lambda found, wanted: wanted in found.split(),
    "|=": lambda found, wanted: found == wanted or found.startswith(wanted + "-"),
    "^=": lambda found, wanted: bool(wanted) and found.startswith(wanted),
    "$=": lambda found, wanted: bool(wanted) and found.endswith(wanted),
    "*=": lambda found, wanted: bool(wanted) and wanted in found,
}


def _attribute(element: dict[str, Value], name: str) -> str | None:
    """Return an attribute's text; also id and class, which captures keep apart."""
    attributes = element.get("attributes")
    found = attributes.get(name) if type(attributes) is dict else None
    if found is None and name == "id":
        found = element.get("id")
    if found is None and name == "class" and element.get("classes"):
        found = " ".join(map(str, element["classes"]))
    return found if type(found) is str else None


def _lower(value: Value) -> str | None:
    return value.lower() if type(value) is str else None
