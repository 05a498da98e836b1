"""Home-made streams nobody has mapped: many records of each, and what a proposal has to find in them."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

NOON = 1_795_435_200
"""2026-11-23T12:00:00Z, in seconds."""


class Stream(NamedTuple):
    make: Callable[[random.Random, int], Any]
    """Gives the n-th record."""
    first: dict[str, Any]
    """What is wanted of a record that the proposal makes of the first line."""
    least: float = 1.0
    """The share that must be understood."""


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def form(at: float, text: str) -> str:
    return datetime.fromtimestamp(at, UTC).strftime(text)


def uuid(rng: random.Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def shop(rng: random.Random, n: int) -> Any:
    kind = ("order_placed", "signup", "item_viewed")[n % 3]
    return {"ts": NOON * 1000 + n, "uid": 7 + n % 5, "type": kind, "payload": {"sum": n / 2}}


def till(rng: random.Random, n: int) -> Any:
    return {
        "Kunde": str(4711 + n % 9),
        "Vorgang": ("Kauf", "Storno")[n % 2],
        "Zeit": form(NOON + 86_400 * n, "%d.%m.%Y %H:%M"),
        "Betrag": 12.5 + n,
        "Filiale": "Mitte",
    }


def sensors(rng: random.Random, n: int) -> Any:
    readings = [{"sensor": f"s{k}", "c": 21.5, "at": NOON + n} for k in range(1, 3)]
    return {"gateway": f"g{n % 3}", "site": "north", "readings": readings}


def crm(rng: random.Random, n: int) -> Any:
    op = ("insert", "update", "delete", "heartbeat")[n % 4]
    if op == "heartbeat":
        return {"op": op}
    row = {"contact_id": 9 + n, "city": "Ulm", "email": f"a{n}@x.org"}
    return {"op": op, "changed": iso(NOON + n), "row": row if op != "delete" else {"contact_id": 9 + n}}


def visits(rng: random.Random, n: int) -> Any:
    hit = {"type": ("PAGE", "BUY")[n % 2], "micros": (NOON + n) * 10**6, "params": [{"k": "p", "s": "/a"}]}
    return {"visitor": f"v{n % 7}", "login": f"u{n}", "visits": [{"no": 1, "hits": [hit, hit]}]}


def logs(rng: random.Random, n: int) -> Any:
    inner = (
        f'{{"evt":"{("login", "logout")[n % 2]}","user":{{"mail":"ann{n % 4}@x.org"}},"data":{{"mfa":true}}}}'
    )
    return {"@timestamp": iso(NOON + n), "host": {"name": "web-1"}, "message": inner}


def game(rng: random.Random, n: int) -> Any:
    moves = [["spawn", NOON + n, 0], ["kill", NOON + n + 1, 50]]
    return {"s": {"player": f"p{n % 5}", "lv": 3}, "e": moves}


def requests(rng: random.Random, n: int) -> Any:
    return {
        "req": {"method": ("POST", "GET")[n % 2], "path": f"/cart/{n}"},
        "user_id": 40 + n % 6,
        "res": {"status": 201},
        "when": f"{NOON + n}.5",
        "took": 12,
    }


def support(rng: random.Random, n: int) -> Any:
    at = (NOON + n) * 1000
    if n % 4 == 0:
        return {"t": "reply", "by": {"id": 5 + n % 3}, "at": at, "words": 12}
    if n % 4 == 1:
        return {"t": "login", "visitor": {"cookie": f"c{n}", "lang": "de"}, "user": f"u{n}", "at": at}
    return {"t": "view", "visitor": {"cookie": f"c{n}", "lang": "de"}, "at": at}


def scores(rng: random.Random, n: int) -> Any:
    return {
        "match": f"m{n}",
        "ended": NOON * 1000 + n,
        "scores": [{"player": "ann", "points": 3}, {"player": "bob", "points": n}],
    }


# --- ten more


def taxi(rng: random.Random, n: int) -> Any:
    return {
        "header": {"messageId": uuid(rng), "emittedAt": iso(NOON + n), "schema": 4},
        "body": {
            "eventType": ("RideStarted", "RideEnded")[n % 2],
            "rider": {"riderId": f"r-{n % 8}", "tier": "gold"},
            "fare": 9.5,
        },
    }


def newsletter(rng: random.Random, n: int) -> Any:
    return {
        "email": f"Ann{n % 6}@Example.org",
        "action": ("open", "click", "bounce", "unsubscribe")[n % 4],
        "date": form(NOON + 3600 * n, "%a, %d %b %Y %H:%M:%S +0100"),
        "campaign": "spring",
        "ip": "10.0.0.1",
    }


def bank(rng: random.Random, n: int) -> Any:
    return {
        "txId": uuid(rng),
        "accountNumber": f"DE{10_000 + n % 7}",
        "transactionType": ("DEBIT", "CREDIT", "FEE")[n % 3],
        "bookedAt": (NOON + n) * 1_000_000_000,
        "amount": {"value": 12, "currency": "EUR"},
    }


def cms(rng: random.Random, n: int) -> Any:
    kind = ("article", "profile", "ping")[n % 3]
    if kind == "profile":
        return {
            "kind": kind,
            "id": f"u{n % 4}",
            "attributes": {"plan": "pro", "email": "a@b.c"},
            "at": iso(NOON + n),
        }
    if kind == "ping":
        return {"kind": kind, "at": iso(NOON + n)}
    return {
        "kind": kind,
        "event": ("read", "shared")[n % 2],
        "reader": {"id": f"u{n % 4}"},
        "at": iso(NOON + n),
    }


def users_table(rng: random.Random, n: int) -> Any:
    return {
        "id": 100 + n,
        "email": f"u{n}@x.org",
        "first_name": "Ann",
        "plan": "free",
        "updated_at": iso(NOON + n),
    }


def iot(rng: random.Random, n: int) -> Any:
    return {"deviceId": f"d{n % 9}", "metric": 20.1 + n, "battery": 80, "timestamp": NOON + n, "fw": "1.2"}


def batch(rng: random.Random, n: int) -> Any:
    return {
        "sessionId": f"s{n}",
        "customer": {"ref": f"c-{n % 4}"},
        "events": [
            {"name": ("open", "scroll")[k], "clientTs": (NOON + n) * 1000 + k, "attrs": {"depth": k}}
            for k in (0, 1)
        ],
    }


def school(rng: random.Random, n: int) -> Any:
    return {
        "actor": {"studentNo": 900 + n % 5, "name": "Kim", "grade": 7},
        "verb": ("answered", "completed")[n % 2],
        "object": {"id": "q7", "score": 3},
        "stored": iso(NOON + n),
        "context": {"course": "math"},
    }


def compact(rng: random.Random, n: int) -> Any:
    return {"e": ("cart_add", "cart_drop")[n % 2], "u": f"u{n % 5}", "t": NOON + n, "p": {"sku": n}}


def listed(rng: random.Random, n: int) -> Any:
    one = {"what": ("door_open", "door_shut")[n % 2], "memberId": n % 3, "when": iso(NOON + n), "door": 3}
    return [one, {**one, "memberId": 8}]


# --- what other tools wrap records in


def elastic(rng: random.Random, n: int) -> Any:
    source = {"user_id": n % 4, "event": ("view", "buy")[n % 2], "@timestamp": iso(NOON + n), "url": "/a"}
    return {"_index": "events", "_id": f"abc{n}", "_source": source}


def mongo(rng: random.Random, n: int) -> Any:
    who, at = {"$oid": f"66{n % 3:022d}"}, {"$date": iso(NOON + n)}
    return {"_id": {"$oid": f"65{n:022d}"}, "userId": who, "type": "purchase", "createdAt": at}


def notification(rng: random.Random, n: int) -> Any:
    text = f'{{"user":"u{n % 4}","event":"paid","sum":{n}}}'
    return {"Type": "Notification", "MessageId": uuid(rng), "Message": text, "Timestamp": iso(NOON + n)}


def order(rng: random.Random, n: int) -> Any:
    customer = {"id": 900 + n % 4, "email": "a@x.org"}
    lines = [{"id": 1, "sku": "a"}]
    return {"id": n, "created_at": iso(NOON + n), "total": "12", "customer": customer, "line_items": lines}


def day_and_hour(rng: random.Random, n: int) -> Any:
    return {
        "date": form(NOON + n, "%d.%m.%Y"),
        "time": form(NOON + n, "%H:%M:%S"),
        "member": f"m{n % 4}",
        "what": "swim",
    }


def rides(rng: random.Random, n: int) -> Any:
    ride = {"rideId": uuid(rng), "rider": f"cus_{n % 9}", "bike": n % 7}
    return {"ride": ride, "state": ("UNLOCKED", "LOCKED", "REPORTED")[n % 3], "occurredAt": iso(NOON + n)}


def video(rng: random.Random, n: int) -> Any:
    kind = ("play", "pause", "complete")[n % 3]
    return {"playerEvent": kind, "subscriberId": n % 8, "contentId": f"mov{n % 5}", "clientTs": NOON + n}


def contacts(rng: random.Random, n: int) -> Any:
    changes = {"stage": ("lead", "won")[n % 2], "owner": "eve"}
    return {"contactId": n % 8, "changedAt": form(NOON + n, "%Y-%m-%d %H:%M:%S"), "changes": changes}


def flat(rng: random.Random, n: int) -> Any:
    at = {
        name: form(NOON + n, text) for name, text in (("event_date", "%Y%m%d"), ("event_ts", "%Y-%m-%d %T"))
    }
    return {**at, "event_type": ("click", "view")[n % 2], "customer_key": f"{n % 9:05d}", "device_type": "tv"}


def mail(rng: random.Random, n: int) -> Any:
    kind = ("delivered", "open", "click")[n % 3]
    return {"email": f"P{n % 9}@ex.org", "timestamp": NOON + n, "event": kind, "sg_event_id": f"sg{n}"}


def one_of(rng: random.Random, n: int) -> Any:
    held = {("tripBooked", "signupCompleted")[n % 2]: {"memberId": f"M{n % 7}", "channel": "web"}}
    return {"meta": {"msgId": f"m{n}", "emittedAt": iso(NOON + n)}, **held}


def calls(rng: random.Random, n: int) -> Any:
    return {"msisdn": f"49170{n % 9:05d}", "cdr_type": ("SMS", "VOICE")[n % 2], "start": str(NOON + n)}


def audit(rng: random.Random, n: int) -> Any:
    principal = {"uid": f"arn:{n % 9}", "kind": "human"}
    at = {"time": (NOON + n) * 1000, "verb": ("login", "grant")[n % 2]}
    return {**at, "request": {"uid": uuid(rng)}, "principal": principal}


def changes(rng: random.Random, n: int) -> Any:
    row = {"id": n % 6, "mail": "a@b.c", "tier": "gold"}
    op = ("DELETE", "INSERT", "UPDATE")[n % 3]
    return {"op": op, "pk": n % 6, "row": row, "commit_ts": form(NOON + n, "%Y-%m-%d %H:%M:%S+00")}


STREAMS: dict[str, Stream] = {
    "documents of a search engine": Stream(
        elastic, {"name": "view", "user_id": "0", "id": "abc0", "time": NOON * 1000}
    ),
    "documents of a database": Stream(
        mongo, {"name": "purchase", "user_id": "66" + "0" * 22, "id": "65" + "0" * 22, "time": NOON * 1000}
    ),
    "notifications with a text": Stream(
        notification,
        {"name": "paid", "user_id": "u0", "time": NOON * 1000, "context": {"Type": "Notification"}},
    ),
    "orders without names": Stream(order, {"type": "event", "name": "Stream", "user_id": "900", "id": "0"}),
    "a day and an hour": Stream(day_and_hour, {"name": "swim", "user_id": "m0", "time": NOON * 1000}),
    "a shop with a payload": Stream(
        shop,
        {
            "type": "event",
            "name": "order_placed",
            "user_id": "7",
            "time": NOON * 1000,
            "properties": {"sum": 0.0},
        },
    ),
    "a flat export from a till": Stream(
        till,
        {
            "name": "Kauf",
            "user_id": "4711",
            "time": NOON * 1000,
            "properties": {"Betrag": 12.5, "Filiale": "Mitte"},
        },
    ),
    "readings of sensors, many in a line": Stream(
        sensors, {"name": "Reading", "anonymous_id": "s1", "time": NOON * 1000, "properties": {"c": 21.5}}
    ),
    "a CRM that sends rows": Stream(crm, {"type": "user", "user_id": "9", "time": NOON * 1000}),
    "sessions with hits": Stream(
        visits, {"name": "PAGE", "user_id": "u0", "anonymous_id": "v0", "time": NOON * 1000}
    ),
    "events inside of log lines": Stream(
        logs, {"name": "login", "user_id": "ann0@x.org", "time": NOON * 1000, "properties": {"mfa": True}}
    ),
    "moves of a game, as arrays": Stream(game, {"name": "spawn", "user_id": "p0", "time": NOON * 1000}),
    "requests of an API": Stream(requests, {"user_id": "40", "time": NOON * 1000 + 500}),
    "a support tool with logins": Stream(
        support, {"name": "reply", "user_id": "5", "properties": {"words": 12}}
    ),
    "scores of matches": Stream(scores, {"name": "Score", "user_id": "ann", "time": NOON * 1000}),
    "a taxi's envelopes": Stream(
        taxi, {"type": "event", "name": "RideStarted", "user_id": "r-0", "time": NOON * 1000}
    ),
    "a newsletter by address": Stream(
        newsletter,
        {"name": "open", "user_id": "ann0@example.org", "time": NOON * 1000 - 3_600_000},
    ),
    "a bank in nanoseconds": Stream(bank, {"name": "DEBIT", "user_id": "DE10000", "time": NOON * 1000}),
    "a CMS with kinds": Stream(cms, {"type": "event", "name": "read", "user_id": "u0", "time": NOON * 1000}),
    "rows of users": Stream(
        users_table,
        {"type": "user", "user_id": "100", "set": {"email": "u0@x.org", "first_name": "Ann", "plan": "free"}},
    ),
    "things without names": Stream(
        iot,
        {
            "anonymous_id": "d0",
            "time": NOON * 1000,
            "properties": {"metric": 20.1, "battery": 80, "fw": "1.2"},
        },
    ),
    "batches of a session": Stream(
        batch, {"name": "open", "user_id": "c-0", "time": NOON * 1000, "properties": {"depth": 0}}
    ),
    "a school that speaks of actors": Stream(
        school, {"type": "user", "user_id": "900", "set": {"studentNo": 900, "name": "Kim", "grade": 7}}
    ),
    "one letter each": Stream(
        compact, {"name": "cart_add", "user_id": "u0", "time": NOON * 1000, "properties": {"sku": 0}}
    ),
    "lists of records": Stream(
        listed, {"name": "door_open", "user_id": "0", "time": NOON * 1000, "properties": {"door": 3}}
    ),
    "rides of bikes": Stream(rides, {"name": "UNLOCKED", "user_id": "cus_0", "time": NOON * 1000}),
    "a video player": Stream(video, {"name": "play", "user_id": "0", "time": NOON * 1000}),
    "changes of contacts": Stream(
        contacts, {"type": "user", "user_id": "0", "set": {"stage": "lead", "owner": "eve"}}
    ),
    "a day beside a time": Stream(flat, {"name": "click", "user_id": "00000", "time": NOON * 1000}),
    "what became of mails": Stream(mail, {"name": "delivered", "user_id": "p0@ex.org", "id": "sg0"}),
    "one of several objects": Stream(
        one_of,
        {
            "name": "tripBooked",
            "user_id": "M0",
            "id": "m0",
            "properties": {"memberId": "M0", "channel": "web"},
        },
    ),
    "calls of a telephone company": Stream(calls, {"name": "SMS", "user_id": "4917000000"}),
    "an audit's requests and principals": Stream(audit, {"name": "login", "user_id": "arn:0"}),
    "rows of members with one address": Stream(changes, {"type": "user", "user_id": "0", "delete": True}),
}


def records(name: str, count: int = 40) -> list[Any]:
    """Return the records of a stream, the same ones each time."""
    rng = random.Random(7)
    return [STREAMS[name].make(rng, n) for n in range(count)]
