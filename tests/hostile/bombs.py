"""The dearest things that one record can ask for: every operator, conversion, filter, directive, tag, selector
and format that there is, over values as large as a record may be.

`make bombs` measures them all, each in CPU time of one core; `--only WORD` some of them.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import orjson

from pipeline.config.yaml.diagnostics import Problems
from pipeline.decode.scan import scan
from pipeline.language import work
from pipeline.match.conditions.compile import compile_condition
from pipeline.match.conditions.nodes import Predicate
from pipeline.match.operators.conversions import CONVERSIONS
from pipeline.match.operators.table import OPERATORS, Operator
from pipeline.model.errors import RenderError
from pipeline.model.json import Value
from pipeline.model.records import Event, User
from pipeline.render.filters.filter import Filter
from pipeline.render.filters.table import FILTERS
from pipeline.runtime.process import GC_THRESHOLD
from pipeline.sources.chunk import NOWHERE, RawChunk
from tests.kit.matching import labels_of
from tests.kit.records import event, user
from tests.render.rendering import read_request

RECORD = 1_000_000
"""Bytes of properties in a record of the size limit."""


@dataclass(slots=True, frozen=True)
class Bomb:
    """One thing that a config asks of a record that is built against it."""

    entry: str
    """What it tries, as `kind:name`."""
    case: str
    make: Callable[[], Callable[[], object] | None]
    """Returns what is measured, compiled and with its event made; None where the language refuses it."""

    @property
    def name(self) -> str:
        """The line that it has in the listing."""
        return f"{self.entry} {self.case}"


# --- values


def shapes(size: int) -> dict[str, Value]:
    """Return values that are so many bytes of JSON."""
    return {
        "ones": [1] * (size // 2),
        "numbers": list(range(10_000, 10_000 + size // 7)),
        "floats": [1.5] * (size // 4),
        "nulls": [None] * (size // 5),
        "letters": ["x"] * (size // 4),
        "names": [f"x{number:06}" for number in range(size // 10)],
        "numerals": [str(number) for number in range(100_000, 100_000 + size // 9)],
        "lists": [[]] * (size // 3),
        "maps": [{}] * (size // 3),
        "items": [{"k": number} for number in range(size // 13)],
        "dates": ["2026-11-23T14:50:00+01:00"] * (size // 28),
        "days": ["2026-11-23"] * (size // 13),
        "versions": [f"1.2.{number}" for number in range(size // 12)],
        "addresses": [f"::{number:x}" for number in range(size // 10)],
        "domains": [f"a@ä{number}.de" for number in range(size // 16)],
        "rows": [[1] * 1_000] * (size // 2_000),
        "deep": [[[[1] * 10] * 10] * 10] * (size // 2_400),
        "text": "x" * size,
        "blanks": " " * size,
        "accents": "é" * (size // 2),
        "markup": "<" * size,
        "quotes": "'" * size,
        "broken": "<!" * (size // 2),
        "tags": "<a>" * (size // 3),
        "entities": "&lt" * (size // 3),
        "percents": "%41" * (size // 3),
        "lines": "\n" * (size // 2),
        "commas": "x," * (size // 2),
        "slashes": "a/" * (size // 2),
        "base64": "QUJD" * (size // 4),
        "json": "[" + "1," * (size // 2) + "1]",
        "json lists": "[" + "[]," * (size // 3) + "1]",
        "keys": {f"k{number}": 1 for number in range(size // 12)},
        "tree": {f"k{a}": {f"k{b}": 1 for b in range(100)} for a in range(size // 800)},
    }


@cache
def whole() -> dict[str, Value]:
    """Return the values that fill a record."""
    return shapes(RECORD)


@cache
def half() -> dict[str, Value]:
    """Return the values of which two fill a record."""
    return shapes(RECORD // 2)


JUDGED = {
    "a": (
        "ones",
        "letters",
        "names",
        "lists",
        "maps",
        "items",
        "rows",
        "deep",
        "text",
        "accents",
        "keys",
        "tree",
    ),
    "a[*]": ("ones", "letters", "names", "lists", "items", "rows", "deep", "dates"),
    "a[*][*]": ("rows", "deep"),
    "a[*].k": ("items", "maps"),
}
"""The values that a path of conditions is tried on."""
OPPOSED = (
    *(("ones", "ones"), ("numbers", "numbers"), ("names", "names"), ("items", "items"), ("rows", "rows")),
    *(("text", "names"), ("text", "letters"), ("deep", "deep"), ("lists", "maps"), ("names", "text")),
)
"""Values and what they are compared with."""
LISTS = ("ones", "numbers", "floats", "letters", "names", "lists", "maps", "items", "rows", "deep")
TEXTS = ("text", "accents")


# --- conditions


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


# --- templates


def rendering(entry: str, case: str, request: dict[str, Value], one: Event, who: User) -> Iterator[Bomb]:
    """Yield the bomb of a request."""

    def condition(tree: Value, problems: Problems) -> Predicate:
        return compile_condition(tree, problems, roots=("event", "user", "vars", "item", "index")).whole

    def make() -> Callable[[], object] | None:
        template, problems = read_request(request, condition=condition)
        return None if template is None or problems.errors else lambda: template.render(one, who)

    yield Bomb(entry, case, make)


def rendered(
    entry: str, case: str, body: Value, properties: dict[str, Value], **fields: Value
) -> Iterator[Bomb]:
    """Yield the bomb of a body."""
    yield from rendering(entry, case, {"body": body, **fields}, event(properties=properties), user())


def calls(filter_: Filter) -> list[str]:
    """Return calls of a filter: with the arguments of its examples, and with those of an event."""
    found = [example.call.split(" | ")[0] for example in filter_.examples]
    own = {
        "replace": ("'x', 'yz'", "'xx', P.b", "P.b, 'y'", "'', '.'"), "split": ("''", "'x'", "P.b"),
        "where": ("'k', 5", "'k', P.b"), "reject": ("'k', 5",), "find": ("'k', -5",), "find_index": ("'k', -5",),
        "has": ("'k', -5",), "sort": ("'k'",), "sort_natural": ("'k'",), "uniq": ("'k'",), "sum": ("'k'",),
        "map": ("'k'",), "compact": ("'k'",), "concat": ("P.b",), "merge": ("P.b", "P.b, P.b, P.b"),
        "pick": ("P.b",), "without": ("P.b",), "join": ("','", "P.b"), "append": ("P.b",), "prepend": ("P.b",),
        "date": ("P.format", "'%Y', P.b"), "hmac_sha256": ("P.b",), "flatten": ("P.b",), "json": ("2",),
        "slice": ("1, 900000",), "truncate": ("900000",), "truncatewords": ("90000",), "remove": ("'x'", "'xx'"),
        "default": ("P.b",), "format_number": ("2", "2, P.b, P.b"),
        "remove_first": ("'z'",), "remove_last": ("'z'",), "replace_last": ("'z', 'y'",), "replace_first": ("'z', 'y'",),
    }  # fmt: skip
    found += [f"{filter_.name}: {arguments}" for arguments in own.get(filter_.name, ())]
    return [call.replace("P.", "event.properties.") for call in dict.fromkeys(found)]


FILTERED = (
    *(
        "ones",
        "floats",
        "names",
        "lists",
        "items",
        "rows",
        "deep",
        "text",
        "accents",
        "quotes",
        "broken",
        "tags",
    ),
    *("entities", "percents", "lines", "commas", "base64", "json", "json lists", "keys", "tree"),
)
REPEATED = ("items", "text", "ones", "keys")
LOOP = list(range(1_000))


# ruff: noqa: E501 - tables read best with a row a line


def of_filters() -> Iterator[Bomb]:
    """Yield every filter over every value: once, in a chain, in a body's loop, and in a template's."""
    for filter_ in FILTERS.values():
        entry = f"filter:{filter_.name}"
        for call, shape in itertools.product(calls(filter_), FILTERED):
            value = whole()[shape]
            others = ("names", "text", "keys") if "properties.b" in call else ("",)
            for other in others:
                values = {"a": value, "format": "%c" * 500, "few": LOOP}
                if other:
                    values = {"a": half()[shape], "b": half()[other], "format": "%c" * 500, "few": LOOP}
                use = f"event.properties.a | {call}"
                case = f"{call[:40]} {shape} {other}"
                yield from rendered(entry, case, {"x": f"a {{{{ {use} }}}}"}, values)
                loop = {"x": {"$for": "{{ event.properties.few }}", "$do": f"{{{{ {use} | size }}}}"}}
                yield from rendered(entry, f"{case} $for", loop, values)
                if shape not in REPEATED:
                    continue
                again = " | ".join([use, *[call] * 20, "size"])
                yield from rendered(entry, f"{case} x20", {"x": f"{{{{ {again} }}}}"}, values)
                liquid = f"{{% for i in event.properties.few %}}{{{{ {use} | size }}}}{{% endfor %}}"
                yield from rendered(entry, f"{case} for", {"x": liquid}, values)


def of_directives() -> Iterator[Bomb]:
    """Yield the directives of bodies, the tags of Liquid, and the parts of a request."""
    few = "{{ event.properties.few }}"
    for shape, value in whole().items():
        values = {"a": value, "few": LOOP, "hundred": LOOP[:100]}
        whole_value, each = "{{ event.properties.a }}", "{% for i in event.properties.few %}"
        bodies: dict[str, Value] = {
            "$for": {"x": {"$for": whole_value, "$do": {"i": "{{ index }}", "v": "{{ item }}"}}},
            "$do": {"x": {"$for": few, "$do": whole_value}},
            "$do inner": {
                "x": {"$for": few, "$do": {"$for": "{{ event.properties.hundred }}", "$do": "{{ item }}"}}
            },
            "$do many": {
                "x": {"$for": few, "$do": {f"k{n}": "{{ item }} of {{ index }}" for n in range(100)}}
            },
            "$do filters": {"x": {"$for": few, "$do": {f"k{n}": "{{ item | plus: 1 }}" for n in range(100)}}},
            "$if": {"x": {"$for": few, "$if": {"event.properties.a": {"contains": "?z"}}, "v": 1}},
            "$then": {"x": {"$for": few, "$do": {"$if": {"item": {"gte": 0}}, "$then": whole_value}}},
            "$else": {
                "x": {"$for": few, "$do": {"$if": {"item": {"lt": 0}}, "$then": 1, "$else": whole_value}}
            },
            "$spread": {"$spread": whole_value},
            "$spread loop": {"x": {"$for": few, "$spread": whole_value}},
            "tag:for": "{% for i in event.properties.a %}{{ i }}{% endfor %}",
            "tag:for many": each + "{{ i }}{{ i | plus: 1 }}" * 20 + "{% endfor %}",
            "tag:for forloop": each
            + "{{ forloop.index }}{% for j in (1..9) %}{{ forloop.length }}{% endfor %}{% endfor %}",
            "tag:for value": each + "{% for j in event.properties.a limit: 1 %}{% endfor %}{% endfor %}",
            "tag:if": each + "{% if event.properties.a == event.properties.a %}{% endif %}{% endfor %}",
            "tag:if contains": each + "{% if event.properties.a contains '?z' %}{% endif %}{% endfor %}",
            "tag:unless": each + "{% unless event.properties.a contains -5 %}{% endunless %}{% endfor %}",
            "tag:case": each
            + "{% case event.properties.a %}{% when event.properties.a %}{% endcase %}{% endfor %}",
            "tag:assign": each + "{% assign x = event.properties.a %}{{ x | size }}{% endfor %}",
            "tag:capture": each + "{% capture x %}{{ event.properties.a }}{% endcapture %}{% endfor %}",
            "tag:echo": each + "{% echo event.properties.a %}{% endfor %}",
            "tag:range": each + "{% for j in (1..999) %}{% endfor %}{% endfor %}",
            "tag:break": each + "{% for j in event.properties.a %}{% break %}{% endfor %}{% endfor %}",
            "tag:continue": each + "{% for j in event.properties.a %}{% continue %}{% endfor %}{% endfor %}",
            "tag:liquid": "{% liquid\n for i in event.properties.few\n echo event.properties.a\n endfor %}",
            "text": {"x": f"{whole_value} and {whole_value}", "y": [whole_value] * 10},
            "value": {f"x{number}": "{{ event.properties.a }}" for number in range(10)},
            "event": {"event": "{{ event }}", "user": "{{ user }}"},
        }
        for name, body in bodies.items():
            entry = (
                name if name.startswith("tag:") else f"directive:{name}" if name[0] == "$" else f"body:{name}"
            )
            yield from rendered(entry.split(" ")[0], f"{name} {shape}", body, values)
        one, who = event(properties={"a": value}), user({"a": value})
        requests: dict[str, dict[str, Value]] = {
            "header": {"headers": {"x-a": "{{ event.properties.a | json | slice: 0, 900000 }}"}},
            "url": {"url": "https://x.example/{{ event.properties.a }}"},
            "query": {"query": {"a": "{{ event.properties.a }}"}},
            "form": {"encoding": "form", "body": {"a": "{{ event.properties.a }}"}},
            "text": {"encoding": "text", "body": "a {{ event.properties.a }}"},
            "xml": {"encoding": "text", "body": "<a>{{ event.properties.a | xml_escape }}</a>"},
            "secret": {"body": {"a": "${TOK} {{ event.properties.a }}"}},
        }
        for place, said in requests.items():
            yield from rendering(f"request:{place}", shape, said, one, who)


# --- formats


def records() -> dict[str, dict[str, bytes]]:
    """Return records of every format that are as large as they may be."""
    track = {"type": "track", "event": "bought", "userId": "u", "messageId": "m"}
    native = {"type": "event", "name": "bought", "user_id": "u", "id": "e"}
    chains: Value = {
        "text": "a.b:href=\"x\";" * 70_000, "semicolons": ";" * RECORD, "colons": ":" * RECORD, "quotes": '\\"' * 400_000,
        "open": 'a:x="' + "b" * RECORD,
    }  # fmt: skip
    posthog = {"event": "$autocapture", "distinct_id": "u", "uuid": "m", "timestamp": "2026-11-23T14:50:00Z"}
    heap = {"event": "bought", "user_id": "1", "event_id": "2", "time": "2026-11-23T14:50:00Z"}
    cloud = {"specversion": "1.0", "type": "bought", "source": "/s", "id": "1"}
    values = whole()
    return {
        "native": {shape: orjson.dumps({**native, "properties": {"a": value}}) for shape, value in values.items()},
        "segment": {
            **{shape: orjson.dumps({**track, "properties": {"a": value}}) for shape, value in values.items()},
            "batch": orjson.dumps({"batch": [track] * (RECORD // 80)}),
            "empty batch": orjson.dumps({"batch": [{}] * (RECORD // 3)}),
            "identify": orjson.dumps({"type": "identify", "userId": "u", "traits": values["keys"]}),
        },
        "posthog": {
            **{
                shape: orjson.dumps({**posthog, "properties": {"$elements_chain": chain}})
                for shape, chain in chains.items()
            },
            "elements": orjson.dumps({**posthog, "properties": {"$elements": [{"tag_name": "a"}] * 50_000}}),
            "batch": orjson.dumps({"api_key": "k", "batch": [posthog] * (RECORD // 110)}),
            "set": orjson.dumps({**posthog, "properties": {"$set": values["keys"]}}),
        },
        "heap": {
            "hierarchy": orjson.dumps({**heap, "hierarchy": "@a;.b;[href=x];|" * 60_000}),
            "pipes": orjson.dumps({**heap, "hierarchy": "|" * RECORD}),
            **{shape: orjson.dumps({**heap, "a": values[shape]}) for shape in ("ones", "keys", "text", "lists")},
        },
        "cloudevents": {
            **{shape: orjson.dumps({**cloud, "data": {"a": value}}) for shape, value in values.items()},
            "batch": orjson.dumps([cloud] * (RECORD // 70)),
            "attributes": orjson.dumps({**cloud, **{f"k{number}": 1 for number in range(70_000)}}),
        },
        "auto": {
            "rubbish": b"\xff" * RECORD, "brackets": b"[" * RECORD, "objects": b'{"a":' * (RECORD // 5),
            "digits": b"1" * RECORD, "long integers": b"[" + b"123456789012345678901," * 45_000 + b"1]",
            "surrogates": b'"' + b"\\ud800" * (RECORD // 6) + b'"', "empty": b"[" + b"{}," * (RECORD // 3) + b"{}]",
            "blanks": b" " * RECORD, "escapes": b'{"a":"' + b"\\u0041" * (RECORD // 6) + b'"}',
        },
    }  # fmt: skip


def of_formats() -> Iterator[Bomb]:
    """Yield every format: a record that is wanted, and one that is not."""

    def make(format: str, record: bytes, wanted: bool) -> Callable[[], Callable[[], object]]:
        chunk = RawChunk("p", "r.jsonl", [0], [record], NOWHERE)
        return lambda: lambda: scan(chunk, format=format, wants=lambda name, kind: wanted)

    for of, found in records().items():
        for format, (shape, record) in itertools.product(dict.fromkeys((of, "auto")), found.items()):
            for wanted in (True, False):
                case = f"{of if of != format else ''} {shape} {'wanted' if wanted else ''}"
                yield Bomb(f"format:{of}", f"{format} {case}", make(format, record[: 1 << 20], wanted))


GROUPS: dict[str, Callable[[], Iterator[Bomb]]] = {
    "operator": of_operators,
    "conversion": of_conversions,
    "condition": of_conditions,
    "selector": of_captures,
    "filter": of_filters,
    "directive": of_directives,
    "format": of_formats,
}


@dataclass(slots=True, frozen=True)
class Found:
    """What a bomb cost."""

    name: str
    secs: float
    units: int
    ended: str
    """"", or why it was given up."""


def explode(bomb: Bomb, times: int = 1) -> Found | None:
    """Run a bomb; return its CPU time (the least of so many), the work it was counted, and its end.

    None where the language refuses it.
    """
    run = bomb.make()
    if run is None:
        return None
    least, ended = 1e9, ""
    for _ in range(times):
        work.begin(None, None)
        begun = time.thread_time()
        try:
            run()
        except work.TooExpensive:
            ended = "too-expensive"
        except RenderError as error:
            ended = str(error)[:60]
        least = min(least, time.thread_time() - begun)
    return Found(bomb.name, least, work.BUDGET - work._work.left, ended)


def calibrate() -> float:
    """Return the seconds that a loop of Python takes on this machine at this moment."""
    values, total = list(range(250_000)), 0
    begun = time.thread_time()
    for value in values:
        if type(value) is int:
            total += value
    return time.thread_time() - begun


def main() -> None:
    """Measure and print the dearest."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--only", default="", help="part of the names of those to measure")
    parser.add_argument("--group", default="", choices=["", *GROUPS])
    parser.add_argument("--top", type=int, default=40)
    parser.add_argument("--over", type=float, default=30, help="milliseconds from which it is measured again")
    given = parser.parse_args()
    gc.set_threshold(GC_THRESHOLD, 20, 50)  # as in the job
    gc.freeze()
    unit = statistics.median(calibrate() for _ in range(9))
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"a loop of 250,000 turns takes {1e3 * unit:.1f} ms"
    )
    found: list[Found] = []
    for group, bombs in GROUPS.items():
        many, begun = 0, time.time()
        for bomb in bombs() if given.group in ("", group) else ():
            if given.only not in bomb.name:
                continue
            one = explode(bomb)
            if one is None:
                continue
            many += 1
            if one.secs * 1e3 > given.over:
                one = explode(bomb, 3) or one
                print(f"# {one}", flush=True)
            found.append(one)
        print(f"{group}: {many} bombs in {time.time() - begun:.0f} s", flush=True)
    found.sort(key=lambda one: -one.secs)
    for one in found[: given.top]:
        rate = f"{1e9 * one.secs / one.units:6.0f} ns" if one.units else "     free"
        print(f"{1e3 * one.secs:8.1f} ms {one.units:>10,} units {rate}  {one.name}  {one.ended}")


if __name__ == "__main__":
    main()
