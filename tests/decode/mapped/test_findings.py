"""What is wrong with a custom shape is told with its place and a remedy."""

from __future__ import annotations

import pytest

from tests.kit.streams.shapes import problems_of

EVENT = "name: n, user_id: u"


@pytest.mark.parametrize(
    ("text", "path", "told"),
    [
        ("- event: {name: Order Placed, user_id: u}", "records.0.event.name", "{text: Order Placed}"),
        ("- event: {name: '{{ n }}', user_id: u}", "records.0.event.name", "without {{ }}"),
        ("- event: {name: $.n, user_id: u}", "records.0.event.name", "write n"),
        ("- event: {name: '$[\"n\"]', user_id: u}", "records.0.event.name", "without `$`"),
        ("- event: {name: .n, user_id: u}", "records.0.event.name", "write n"),
        ("- event: {name: n, user_id: /user/id}", "records.0.event.user_id", "write user.id"),
        ("- when: [kind]\n  event: {name: n, user_id: u}", "records.0.when.0", "such as {plan: pro}"),
        (f"- event: {{each: 'a[*]', {EVENT}, id: ^^.a}}", "records.0.event.id", "one level is entered"),
        (f"- event: {{each: 'a[*]', {EVENT}, id: ^a}}", "records.0.event.id", "write ^.a"),
        (f"- event: {{each: 'a[*]', {EVENT}, id: each.x}}", "records.0.event.id", "each.key and each.index"),
        (f"- event: {{each: 'a[*].b', {EVENT}}}", "records.0.event.each", "ends with `[*]`"),
        (f"- event: {{each: 'a[*][*].b[*]', {EVENT}}}", "records.0.event.each", "two lists at most"),
        (f"- event: [{{{EVENT}}}, {{{EVENT}, id: a.}}]", "records.0.event.1.id", "ends after a dot"),
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
        ("records: []", "records", "must not be empty"),
        (
            f"- event: {{{EVENT}, properties: {{text: X}}}}",
            "records.0.event.properties.text",
            "a map of name to",
        ),
    ],
)
def test_every_slip_has_its_place_and_a_remedy(text: str, path: str, told: str) -> None:
    found = problems_of(text)
    said = [(".".join(map(str, one.path)), f"{one.message} {one.hint}") for one in found]
    assert any(place == path and told in text for place, text in said), said


@pytest.mark.parametrize(
    ("field", "path", "told"),
    [
        ("time: {path: t, unit: seconds}", "time.unit", "did you mean `s`?"),
        ("time: {path: t, unit: s, zone: UTC}", "time.zone", "no zone"),
        ("time: {unit: s}", "time", "a time has a `path`"),
        ("time: {path: t, unit: s, format: '%Y'}", "time.format", "exclude"),
        ("time: {path: t, format: '%Q'}", "time.format", "no format of times"),
        ("time: {path: t, format: '%Y-%Y'}", "time.format", "no format of times"),
        ("time: {path: t, zone: Berlin}", "time.zone", "did you mean `Europe/Berlin`?"),
        ("properties: 'bag.*'", "properties", "taken whole: bag"),
        ("properties: ['*']", "properties.0", '"*" stands alone'),
        ("id: {path: a, regex: b}", "id", "find, lower"),
        ("properties: {pairs: p, keys: k}", "properties.keys", "did you mean `key`?"),
        ("properties: {a: 5}", "properties.a", "{text: 5}"),
        ("properties: {a: '*'}", "properties.a", "`*` stands alone"),
        ("properties: {path: a, text: b}", "properties.path", "do not go together"),
        ("id: {txt: a}", "id", "did you mean `text`?"),
        ("id: {path: a, find: '('}", "id.find", "invalid pattern"),
        ("id: {path: a, find: 'a'}", "id.find", "one group, this one has 0"),
        ("id: {path: a, find: '(?=a)(b)'}", "id.find", "no look-around"),
        ("id: {path: a, lower: 1}", "id.lower", "true or false"),
        ("id: {path: a, unit: s}", "id.unit", "belongs to a time"),
        ("kind: {text: true}", "kind.text", 'in quotes: "true"'),
        ("id: {join: a}", "id.join", "a list of paths"),
        ("id: {join: [a], with: 5}", "id.with", "a text"),
        ("id: {json: a, path: 5}", "id.path", "is a path"),
        ("id: {json: a, path: message.key}", "id.path", "starts in it"),
        ("time: {path: a, unit: [s]}", "time.unit", "no unit of time"),
        ("time: {path: a, format: 5}", "time.format", "no format"),
        ("id: []", "id", "an empty list of paths"),
        ("id: message.kex", "id", "nothing that a message has"),
        ("id: ^.a", "id", "none is entered here"),
        ("id: 'a[b]'", "id", 'write ["b"]'),
        ("timestamp: t", "timestamp", "did you mean `time`?"),
    ],
)
def test_every_slip_in_a_field_of_an_event_has_its_place_and_a_remedy(
    field: str, path: str, told: str
) -> None:
    test_every_slip_has_its_place_and_a_remedy(
        f"- event: {{{EVENT}, {field}}}", f"records.0.event.{path}", told
    )
