"""What is wrong with a custom shape is told with its place and a remedy."""

from __future__ import annotations

import pytest

from tests.kit.streams.shapes import problems_of

EVENT = "name: n, user_id: u"


@pytest.mark.parametrize(
    ("text", "path", "told"),
    [
        (
            f"- event: {{{EVENT}, time: {{path: t, unit: seconds}}}}",
            "records.0.event.time.unit",
            "did you mean `s`?",
        ),
        (
            f"- event: {{{EVENT}, time: {{path: t, unit: s, zone: UTC}}}}",
            "records.0.event.time.zone",
            "no zone",
        ),
        (f"- event: {{{EVENT}, time: {{unit: s}}}}", "records.0.event.time", "a time has a `path`"),
        (
            f"- event: {{{EVENT}, time: {{path: t, unit: s, format: '%Y'}}}}",
            "records.0.event.time.format",
            "exclude",
        ),
        (
            f"- event: {{{EVENT}, time: {{path: t, format: '%Q'}}}}",
            "records.0.event.time.format",
            "no format of times",
        ),
        (
            f"- event: {{{EVENT}, time: {{path: t, format: '%Y-%Y'}}}}",
            "records.0.event.time.format",
            "no format of times",
        ),
        (
            f"- event: {{{EVENT}, time: {{path: t, zone: Berlin}}}}",
            "records.0.event.time.zone",
            "did you mean `Europe/Berlin`?",
        ),
        ("- event: {name: Order Placed, user_id: u}", "records.0.event.name", "{text: Order Placed}"),
        ("- event: {name: '{{ n }}', user_id: u}", "records.0.event.name", "without {{ }}"),
        ("- event: {name: $.n, user_id: u}", "records.0.event.name", "write n"),
        ("- event: {name: '$[\"n\"]', user_id: u}", "records.0.event.name", "without `$`"),
        ("- event: {name: .n, user_id: u}", "records.0.event.name", "write n"),
        ("- event: {name: n, user_id: /user/id}", "records.0.event.user_id", "write user.id"),
        (f"- event: {{{EVENT}, properties: 'bag.*'}}", "records.0.event.properties", "taken whole: bag"),
        (f"- event: {{{EVENT}, properties: ['*']}}", "records.0.event.properties.0", '"*" stands alone'),
        (f"- event: {{{EVENT}, id: {{path: a, regex: b}}}}", "records.0.event.id", "find, lower"),
        (
            f"- event: {{{EVENT}, properties: {{pairs: p, keys: k}}}}",
            "records.0.event.properties.keys",
            "did you mean `key`?",
        ),
        ("- when: [kind]\n  event: {name: n, user_id: u}", "records.0.when.0", "such as {plan: pro}"),
        (f"- event: {{{EVENT}, properties: {{a: 5}}}}", "records.0.event.properties.a", "{text: 5}"),
        (f"- event: {{{EVENT}, properties: {{a: '*'}}}}", "records.0.event.properties.a", "`*` stands alone"),
        (
            f"- event: {{{EVENT}, properties: {{path: a, text: b}}}}",
            "records.0.event.properties.path",
            "do not go together",
        ),
        (f"- event: {{{EVENT}, id: {{txt: a}}}}", "records.0.event.id", "did you mean `text`?"),
        (f"- event: {{{EVENT}, id: {{path: a, find: '('}}}}", "records.0.event.id.find", "invalid pattern"),
        (
            f"- event: {{{EVENT}, id: {{path: a, find: 'a'}}}}",
            "records.0.event.id.find",
            "one group, this one has 0",
        ),
        (
            f"- event: {{{EVENT}, id: {{path: a, find: '(?=a)(b)'}}}}",
            "records.0.event.id.find",
            "no look-around",
        ),
        (f"- event: {{{EVENT}, id: {{path: a, lower: 1}}}}", "records.0.event.id.lower", "true or false"),
        (f"- event: {{{EVENT}, id: {{path: a, unit: s}}}}", "records.0.event.id.unit", "belongs to a time"),
        (f"- event: {{{EVENT}, id: {{join: a}}}}", "records.0.event.id.join", "a list of paths"),
        (f"- event: {{{EVENT}, id: {{join: [a], with: 5}}}}", "records.0.event.id.with", "a text"),
        (f"- event: {{{EVENT}, id: {{json: a, path: 5}}}}", "records.0.event.id.path", "is a path"),
        (
            f"- event: {{{EVENT}, id: {{json: a, path: message.key}}}}",
            "records.0.event.id.path",
            "starts in it",
        ),
        (
            f"- event: {{{EVENT}, time: {{path: a, unit: [s]}}}}",
            "records.0.event.time.unit",
            "no unit of time",
        ),
        (f"- event: {{{EVENT}, time: {{path: a, format: 5}}}}", "records.0.event.time.format", "no format"),
        (f"- event: {{{EVENT}, id: []}}", "records.0.event.id", "an empty list of paths"),
        (f"- event: {{{EVENT}, id: message.kex}}", "records.0.event.id", "nothing that a message has"),
        (f"- event: {{{EVENT}, id: ^.a}}", "records.0.event.id", "none is entered here"),
        (f"- event: {{each: 'a[*]', {EVENT}, id: ^^.a}}", "records.0.event.id", "one level is entered"),
        (f"- event: {{each: 'a[*]', {EVENT}, id: ^a}}", "records.0.event.id", "write ^.a"),
        (f"- event: {{each: 'a[*]', {EVENT}, id: each.x}}", "records.0.event.id", "each.key and each.index"),
        (f"- event: {{each: 'a[*].b', {EVENT}}}", "records.0.event.each", "ends with `[*]`"),
        (f"- event: {{each: 'a[*][*].b[*]', {EVENT}}}", "records.0.event.each", "two lists at most"),
        (f"- event: [{{{EVENT}}}, {{{EVENT}, id: a.}}]", "records.0.event.1.id", "ends after a dot"),
        (f"- event: {{{EVENT}, id: 'a[b]'}}", "records.0.event.id", 'write ["b"]'),
        (
            f"- when: [{{a: {{eqq: 1}}}}]\n  event: {{{EVENT}}}",
            "records.0.when.0.a.eqq",
            "did you mean `eq`?",
        ),
        (f"- when: [{{a..b: 1}}]\n  event: {{{EVENT}}}", "records.0.when.0.a..b", "cannot stand in a path"),
        (f"- when: [{{^.b: 1}}]\n  event: {{{EVENT}}}", "records.0.when.0.^.b", "none is entered"),
        (f"- when: [{{label: x}}]\n  event: {{{EVENT}}}", "records.0.when.0.label", "no label `x`"),
        ("- event: {name: n}", "records.0.event", "`user_id`, `anonymous_id` or both"),
        ("- event: {user_id: n}", "records.0.event", "`name`"),
        ("- user: {set: a}", "records.0.user", "a user needs `user_id`"),
        ("- link: {user_id: a}", "records.0.link", "`anonymous_id`"),
        ("- when: [{a: 1}]", "records.0", "an entry needs `event`, `user`, `link` or `ignore: true`"),
        (f"- ignore: true\n  event: {{{EVENT}}}", "records.0", "`ignore` stands alone"),
        ("- ignore: false", "records.0.ignore", "must be `true`"),
        (f"- where: [{{a: 1}}]\n  event: {{{EVENT}}}", "records.0.where", "did you mean `when`?"),
        (f"- event: {{{EVENT}, timestamp: t}}", "records.0.event.timestamp", "did you mean `time`?"),
        ("records: []", "records", "must not be empty"),
    ],
)
def test_every_slip_has_its_place_and_a_remedy(text: str, path: str, told: str) -> None:
    found = problems_of(text)
    said = [(".".join(map(str, one.path)), f"{one.message} {one.hint}") for one in found]
    assert any(place == path and told in text for place, text in said), said
