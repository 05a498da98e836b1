"""Every operator, conversion and group of conditions, and every selector and criterion."""

# ruff: noqa: E501 - tables read best with a row a line

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import cache

from pipeline.config.yaml.diagnostics import Problems
from pipeline.match.conditions.compile import compile_condition
from pipeline.match.conditions.nodes import Predicate
from pipeline.match.operators.conversions import CONVERSIONS
from pipeline.match.operators.table import OPERATORS, Operator
from pipeline.model.json import Value
from pipeline.model.records import Event
from tests.hostile.bombs.values import JUDGED, LISTS, OPPOSED, RECORD, Bomb, half, whole
from tests.kit.streams.matching import labels_of
from tests.kit.streams.records import event, user


def compiled(tree: Value) -> Predicate | None:
    """Return the condition's predicate; None where the language does not allow it."""
    problems = Problems()
    condition = compile_condition(tree, problems)
    return None if problems.errors else condition.whole


def judged(entry: str, case: str, tree: Value, properties: dict[str, Value]) -> Iterator[Bomb]:
    """Yield the bomb of a condition, if the language allows it."""

    def make() -> Callable[[], object] | None:
        test, one, who = compiled(tree), event(properties=properties), user()
        return None if test is None else lambda: test(one, who, None)

    yield Bomb(entry, case, make)


def operand(operator: Operator) -> Value:
    """Return an operand that holds for nothing in the values above."""
    odd: dict[str, Value] = {
        "any": "?", "order": -1 if operator.name in ("lt", "lte") else 10**12, "range": [-2, -1],
        "list": ["?", -1, "-"], "text": "?z", "element": "?z", "flag": operator.name != "present",
        "date": "1999-01-01" if operator.name == "before" else "2999-01-01",
    }  # fmt: skip
    return odd[operator.wants]


def of_operators() -> Iterator[Bomb]:
    """Yield every operator over every value, beside constants and beside another path."""
    for operator in OPERATORS.values():
        entry = f"operator:{operator.name}"
        texts = ("?z" * 10, *(f"{word}.*y$" for word in "abc")) if operator.name == "regex" else ()
        constants = [operand(operator), *texts]
        if operator.wants in ("list", "text", "element"):
            constants.append([f"?{number}" for number in range(300)])
        for at, constant in enumerate(constants):
            for path in ("a", "a[*]", "a[*][*]", "a[*].k"):
                for fold in (False, True) if operator.cased and path in ("a", "a[*]") else (False,):
                    said = {operator.name: constant, **({"ignore_case": True} if fold else {})}
                    for shape in JUDGED[path]:
                        value = whole()[shape]
                        case = f"{path} {at} {'folded ' if fold else ''}{shape}"
                        yield from judged(entry, case, {f"event.properties.{path}": said}, {"a": value})
        if operator.wants == "flag":
            continue
        for path, other in itertools.product(("a", "a[*]"), ("b", "b[*]")):
            reference: Value = {"path": f"event.properties.{other}"}
            said = {operator.name: [reference, reference] if operator.wants == "range" else reference}
            for shape, opposed in OPPOSED:
                values = {"a": half()[shape], "b": other_than(opposed)}
                yield from judged(
                    entry, f"{path} {shape} to {other} {opposed}", {f"event.properties.{path}": said}, values
                )


@cache
def other_than(shape: str) -> Value:
    """Return values such as those of the shape, none of which equals one of them."""
    value = half()[shape]
    return [strange(one) for one in value] if type(value) is list else value


def strange(value: Value) -> Value:
    """Return a value of the same kind that equals no other."""
    if type(value) in (int, float):
        return -value
    if type(value) is str:
        return f"{value}~"
    return [*value, "~"] if type(value) is list else {**value, "~": 1}


CONVERTED = (*LISTS, "nulls", "numerals", "dates", "days", "versions", "addresses", "domains", "text", "keys")


def of_conversions() -> Iterator[Bomb]:
    """Yield every conversion over every value, alone, beside a path, in lists of lists and elements."""
    for conversion in CONVERSIONS.values():
        entry = f"conversion:{conversion.name}"
        operator = next(name for name in ("eq", "gt", "in") if name in conversion.operators)
        constant = next(one[2] for one in conversion.examples if one[1] in conversion.operators)
        if type(constant) is list:
            constant = constant[0]
        for shape, path in itertools.product(CONVERTED, ("a", "a[*]")):
            key = f"event.properties.{path}"
            said = {"as": conversion.name, operator: [constant] if operator == "in" else constant}
            yield from judged(entry, f"{path} {shape}", {key: said}, {"a": whole()[shape]})
            said = {"as": conversion.name, operator: {"path": "event.properties.b[*]"}}
            values = {"a": half()[shape], "b": half()[shape]}
            yield from judged(entry, f"{path} {shape} to b[*]", {key: said}, values)
            if conversion.zoned:
                said = {"as": conversion.name, operator: constant, "tz": "America/New_York"}
                yield from judged(entry, f"{path} {shape} zoned", {key: said}, {"a": whole()[shape]})


def of_conditions() -> Iterator[Bomb]:
    """Yield what holds other conditions."""
    everything = {**whole()}
    element: dict[str, Value] = {"k": {"eq": -1}}
    several: Value = [{"event.properties.a": {"contains": f"?{number}"}} for number in range(50)]
    for shape in ("maps", "items", "rows", "ones", "lists"):
        value = everything[shape]
        holds = {"event.properties.a": element}
        yield from judged("condition:any_element", shape, {"any_element": holds}, {"a": value})
        yield from judged(
            "condition:any_element",
            f"{shape} [*]",
            {"any_element": {"event.properties.a[*]": element}},
            {"a": value},
        )
        inner = {"any_element": {"event.properties.a": {"event.properties.b": {"contains": "?"}}}}
        yield from judged(
            "condition:any_element", f"{shape} text", inner, {"a": half()[shape], "b": half()["text"]}
        )
        crossed = {"any_element": {"event.properties.a": {"k": {"in": {"path": "event.properties.b"}}}}}
        yield from judged(
            "condition:any_element", f"{shape} path", crossed, {"a": half()[shape], "b": half()["names"]}
        )
    for shape in ("text", "accents", "names", "letters", "items"):
        for kind in ("any", "all", "not"):
            tree: Value = {kind: {"any": several} if kind == "not" else several}
            yield from judged(f"condition:{kind}", shape, tree, {"a": everything[shape]})
    for shape in ("text", "names", "items", "maps"):
        label = {"name": "l", "where": {"any": several}}
        yield from labelled("condition:label", shape, label, event(properties={"a": everything[shape]}))


def labelled(entry: str, case: str, file: dict[str, Value], one: Event) -> Iterator[Bomb]:
    """Yield the bomb of a label."""

    def make() -> Callable[[], object]:
        label = labels_of(file).get("l")
        assert label is not None
        node, who = label.node, user()
        return lambda: node.test(one, who, None)

    yield Bomb(entry, case, make)


# --- captures

SELECTORS = {
    "tag": "z", "id": "#z", "class": ".z", "attribute": "[z]", "=": "[href=z]", "~=": "[href~=z]",
    "|=": "[href|=z]", "^=": "[href^=z]", "$=": "[href$=z]", "*=": "[href*=z]", "case": "[href*=z i]",
    ":is": ":is(z, .z)", ":where": ":where(z)", ":not": ":not(a):not(b)", ":nth-child": "z:nth-child(2n+1)",
    ":nth-of-type": "z:nth-of-type(3)", ":first-child": "z:first-child", ":first-of-type": "z:first-of-type",
    "child": "a > z", "descendant": "a z", "list": "z, y, x",
}  # fmt: skip
"""Each kind of simple selector and combinator, such that it matches nothing."""


def of_captures() -> Iterator[Bomb]:
    """Yield every kind of selector, and every criterion, over the longest chains."""
    chains: dict[str, list[dict[str, Value]]] = {
        "short": [{"tag": "a", "classes": [], "attributes": {}} for _ in range(256)],
        "classes": [{"tag": "a", "classes": ["c"] * 120, "attributes": {}} for _ in range(256)],
        "hrefs": [{"tag": "a", "classes": [], "attributes": {"href": "a " * 120}, "text": "t" * 240}] * 256,
    }
    for (kind, selector), (shape, chain) in itertools.product(SELECTORS.items(), chains.items()):
        joint = ", ".join if kind == "list" else " ".join
        long = joint([selector] * (1_900 // (len(selector) + 2)))
        many = ", ".join([f":is({selector} {selector})"] * (1_900 // (2 * len(selector) + 8)))
        for size, text in (("one", selector), ("long", long), ("inner", many)):
            file: dict[str, Value] = {"name": "l", "capture": {"selector": text}}
            clicked = event("$autocapture", elements=chain, kind="click")
            yield from labelled(f"selector:{kind}", f"{size} {shape}", file, clicked)
    for name in ("text", "href", "path", "url"):
        for said in (
            {"contains": "?"},
            {"regex": "a.*z"},
            {"glob": ["*?*"] * 50},
            {"contains": ["?", "!"] * 50},
        ):
            clicked = event("$autocapture", elements=chains["hrefs"], kind="click", properties={
                "$current_url": "https://" + "x" * (RECORD - 10), "$pathname": "x" * RECORD, "$el_text": "x" * RECORD,
            })  # fmt: skip
            file = {"name": "l", "capture": {name: said}}
            yield from labelled(f"criterion:{name}", str(said)[:24], file, clicked)
            if name in ("text", "href"):
                bare = event("$autocapture", properties={"$el_text": "x" * RECORD, "href": "x" * RECORD})
                yield from labelled(f"criterion:{name}", f"{str(said)[:24]} bare", file, bare)
