"""Every filter, directive, tag, and part of a request."""

# ruff: noqa: E501 - tables read best with a row a line

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from pipeline.config.yaml.diagnostics import Problems
from pipeline.match.conditions.compile import compile_condition
from pipeline.match.conditions.nodes import Predicate
from pipeline.model.json import Value
from pipeline.model.records import Event, User
from pipeline.render.filters.filter import Filter
from pipeline.render.filters.table import FILTERS
from tests.hostile.bombs.values import Bomb, half, whole
from tests.kit.streams.records import event, user
from tests.render.rendering import read_request


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
