"""Ten streams as teams make them at home, each mapped in at most eight lines of a hundred characters."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.model.records import Origin
from tests.kit.streams.shapes import shape, told

NOON = 1_795_435_200_000
"""2026-11-23T12:00:00Z"""


def event(name: str, user_id: str | None = None, /, time: int | None = NOON, **fields: Any) -> dict[str, Any]:
    who = {} if user_id is None else {"user_id": user_id}
    when = {} if time is None else {"time": time}
    return {"type": "event", "name": name, "kind": "track", **who, **when, **fields}


STREAMS: dict[str, tuple[str, list[tuple[Any, list[dict[str, Any]]]]]] = {
    "a shop with a payload": (
        """
- when: [{type: signup}]
  event: {name: {text: Signed Up}, user_id: uid, time: {path: ts, unit: ms}, properties: payload}
  user: {user_id: uid, set: payload.profile, set_once: {signed_up: ts}}
- event: {name: type, user_id: uid, time: {path: ts, unit: ms}, properties: payload}
""",
        [
            (
                {"ts": NOON, "uid": 7, "type": "order_placed", "payload": {"sum": 12.5}},
                [event("order_placed", "7", properties={"sum": 12.5})],
            ),
            (
                {"ts": NOON, "uid": 8, "type": "signup", "payload": {"profile": {"plan": "free"}}},
                [
                    {
                        "type": "user",
                        "user_id": "8",
                        "time": NOON,
                        "set": {"plan": "free"},
                        "set_once": {"signed_up": NOON},
                    },
                    event("Signed Up", "8", properties={"profile": {"plan": "free"}}),
                ],
            ),
        ],
    ),
    "a flat export from a till in Berlin": (
        """
- event:
    name: Vorgang
    user_id: Kunde
    time: {path: Zeit, format: "%d.%m.%Y %H:%M", zone: Europe/Berlin}
    properties: "*"
""",
        [
            (
                {
                    "Kunde": "4711",
                    "Vorgang": "Kauf",
                    "Zeit": "23.11.2026 13:00",
                    "Betrag": 12.5,
                    "Filiale": "Mitte",
                },
                [event("Kauf", "4711", properties={"Betrag": 12.5, "Filiale": "Mitte"})],
            )
        ],
    ),
    "readings of sensors, many in a line": (
        """
- event:
    each: "readings[*]"
    when: [{quality: {ne: bad}}]
    name: {text: Reading}
    anonymous_id: {join: [^.gateway, sensor], with: "/"}
    time: {path: at, unit: s}
    properties: {celsius: c, site: ^.site}
""",
        [
            (
                {
                    "gateway": "g1",
                    "site": "north",
                    "readings": [
                        {"sensor": "s1", "c": 21.5, "at": NOON // 1000},
                        {"sensor": "s2", "c": 99, "at": NOON // 1000, "quality": "bad"},
                        {"sensor": 3, "c": 4, "at": f"{NOON // 1000}.250"},
                    ],
                },
                [
                    event("Reading", anonymous_id="g1/s1", properties={"celsius": 21.5, "site": "north"}),
                    event(
                        "Reading",
                        time=NOON + 250,
                        anonymous_id="g1/3",
                        properties={"celsius": 4, "site": "north"},
                    ),
                ],
            )
        ],
    ),
    "a CRM that sends rows": (
        """
- when: [{op: delete}]
  user: {user_id: row.contact_id, delete: op, time: changed}
- when: [{op: {in: [insert, update]}}]
  user: {user_id: row.contact_id, set: row, unset: cleared, time: changed}
- when: [{op: heartbeat}]
  ignore: true
""",
        [
            (
                {
                    "op": "update",
                    "changed": "2026-11-23T12:00:00Z",
                    "row": {"contact_id": 9, "city": "Ulm"},
                    "cleared": ["fax"],
                },
                [
                    {
                        "type": "user",
                        "user_id": "9",
                        "time": NOON,
                        "set": {"contact_id": 9, "city": "Ulm"},
                        "unset": ["fax"],
                    }
                ],
            ),
            (
                {"op": "delete", "changed": NOON, "row": {"contact_id": 9}},
                [{"type": "user", "user_id": "9", "time": NOON, "delete": True}],
            ),
            ({"op": "heartbeat"}, []),
        ],
    ),
    "sessions with hits, parameters in pairs": (
        """
- event:
    each: "visits[*].hits[*]"
    name: [event, type]
    user_id: ^^.login
    anonymous_id: ^^.visitor
    time: {path: micros, unit: us}
    properties: {pairs: params, key: k, value: [s, i, f]}
    context: {visit: ^.no, hit: each.index}
""",
        [
            (
                {
                    "visitor": "v1",
                    "login": None,
                    "visits": [
                        {
                            "no": 1,
                            "hits": [
                                {"type": "PAGE", "micros": NOON * 1000, "params": [{"k": "p", "s": "/a"}]}
                            ],
                        },
                        {
                            "no": 2,
                            "hits": [{"event": "buy", "micros": NOON * 1000, "params": [{"k": "n", "i": 2}]}],
                        },
                    ],
                },
                [
                    event("PAGE", anonymous_id="v1", properties={"p": "/a"}, context={"visit": 1, "hit": 0}),
                    event("buy", anonymous_id="v1", properties={"n": 2}, context={"visit": 2, "hit": 0}),
                ],
            )
        ],
    ),
    "events inside of log lines": (
        """
- event:
    name: {json: '["message"]', path: evt}
    user_id: {json: '["message"]', path: user.mail, lower: true}
    time: "['@timestamp']"
    properties: {json: '["message"]', path: data}
    context: {host: host.name}
- ignore: true
""",
        [
            (
                {
                    "@timestamp": "2026-11-23T12:00:00.000Z",
                    "host": {"name": "web-1"},
                    "message": '{"evt":"login","user":{"mail":"Ann@X.org"},"data":{"mfa":true}}',
                },
                [event("login", "ann@x.org", properties={"mfa": True}, context={"host": "web-1"})],
            ),
            ({"@timestamp": "2026-11-23T12:00:00.000Z", "message": "GET / 200"}, []),
        ],
    ),
    "moves of a game, as arrays": (
        """
- event: {each: "e[*]", name: "[0]", user_id: ^.s.p, time: {path: "[1]", unit: s},
          properties: {points: "[2]", level: ^.s.lv}}
""",
        [
            (
                {"s": {"p": "p1", "lv": 3}, "e": [["spawn", NOON // 1000], ["kill", NOON // 1000, 50]]},
                [
                    event("spawn", "p1", properties={"level": 3}),
                    event("kill", "p1", properties={"points": 50, "level": 3}),
                ],
            )
        ],
    ),
    "requests of an API": (
        r"""
- when: [{req.method: {in: [POST, PUT]}}, {res.status: {lt: 400}}]
  event:
    name: {join: [req.method, {path: req.path, find: "^/users/[^/]+/(\\w+)"}], with: " "}
    user_id: {path: req.path, find: "^/users/(\\d+)"}
    time: {path: when, unit: s}
    properties: {status: res.status, ms: took}
- ignore: true
""",
        [
            (
                {
                    "req": {"method": "POST", "path": "/users/42/cart"},
                    "res": {"status": 201},
                    "when": f"{NOON // 1000}.5",
                    "took": 12,
                },
                [event("POST cart", "42", time=NOON + 500, properties={"status": 201, "ms": 12})],
            ),
            ({"req": {"method": "GET", "path": "/users/42"}, "res": {"status": 200}}, []),
        ],
    ),
    "logins of a support tool": (
        """
- when: [{t: login}]
  link: {anonymous_id: visitor.cookie, user_id: agent_of, time: at}
  user: {user_id: agent_of, set: {last_login: at, lang: visitor.lang}}
- event: {name: t, user_id: [by.id, uid], anonymous_id: visitor.cookie, time: at, properties: "*"}
""",
        [
            (
                [
                    {"t": "login", "visitor": {"cookie": "c1", "lang": "de"}, "agent_of": "u1", "at": NOON},
                    {"t": "reply", "by": {"id": 5}, "at": NOON, "words": 12},
                ],
                [
                    {
                        "type": "user",
                        "user_id": "u1",
                        "time": NOON,
                        "set": {"last_login": NOON, "lang": "de"},
                    },
                    {"type": "identify", "anonymous_id": "c1", "user_id": "u1", "time": NOON},
                    event("reply", "5", properties={"words": 12}),
                ],
            )
        ],
    ),
    "scores by player": (
        """
- event: {each: "scores[*]", name: {text: Scored}, user_id: each.key, id: {join: [match, each.key]},
          time: ^.ended, properties: {points: ., match: ^.match}}
  user: {each: "scores[*]", user_id: each.key, set: {last_match: ^.match}}
""",
        [
            (
                {"match": "m9", "ended": NOON, "scores": {"ann": 3, "bob": 1}},
                [
                    {"type": "user", "user_id": "ann", "set": {"last_match": "m9"}},
                    {"type": "user", "user_id": "bob", "set": {"last_match": "m9"}},
                    event("Scored", "ann", properties={"points": 3, "match": "m9"}),
                    event("Scored", "bob", properties={"points": 1, "match": "m9"}),
                ],
            )
        ],
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_home_made_stream_is_mapped_in_eight_lines(name: str) -> None:
    text, lines = STREAMS[name]
    assert len(text.strip().splitlines()) <= 8
    assert max(map(len, text.splitlines())) <= 100
    by = shape(text)
    for line, wanted in lines:
        assert told(by, line) == wanted


def test_a_topic_whose_names_and_tenants_stand_around_the_value() -> None:
    by = shape(
        """
        - when: [{message.topic: {glob: "app-*"}}]
          event:
            name: message.headers.event
            user_id: {join: [message.headers.tenant, message.key.uid], with: ":"}
            time: message.time
            properties: .
        """
    )
    given: dict[str, Any] = {
        "origin": Origin("app-events/0", 5),
        "headers": [("event", b"Opened"), ("tenant", b"acme")],
        "key": b'{"uid":17}',
        "received_at": NOON,
    }
    (found,) = told(by, {"door": 3}, **given)
    assert found == event("Opened", "acme:17", received_at=NOON, properties={"door": 3})
