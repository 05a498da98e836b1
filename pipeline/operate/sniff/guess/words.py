"""Common names of ids, times, names and property objects: how much a field's name says, 0 to 100."""

from __future__ import annotations

from typing import Final

USERS: Final = frozenset(
    {
        "user", "usr", "customer", "cust", "client", "account", "acct", "member", "person", "people",
        "subscriber", "contact", "profile", "player", "buyer", "purchaser", "shopper", "actor", "owner",
        "author", "sender", "reader", "viewer", "learner", "student", "patient", "employee", "passenger",
        "driver", "rider", "guest", "donor", "tenant", "applicant", "agent", "consumer", "cardholder",
        "login", "principal", "identity", "subject", "kunde", "kunden", "nutzer", "benutzer", "mitglied",
        "konto", "spieler", "utilisateur", "compte", "membre", "usuario", "cliente", "cuenta", "utente",
        "conta", "gast", "bewohner", "resident", "traveler", "traveller", "participant", "candidate",
        "host", "follower",
    }
)  # fmt: skip
ANONYMOUS: Final = {
    "anonymous": 100, "anon": 95, "visitor": 92, "device": 88, "cookie": 86, "installation": 84,
    "install": 84, "fingerprint": 80, "browser": 78, "client": 66, "session": 60, "sid": 55,
    "instance": 50, "sensor": 66, "machine": 64, "vehicle": 64, "car": 55, "meter": 62, "gateway": 58,
    "terminal": 60, "kiosk": 60, "thing": 60, "unit": 40, "station": 45, "robot": 55, "idfa": 70,
    "gaid": 70, "ga": 60, "adid": 70, "besucher": 90, "geraet": 85, "gerät": 85, "visiteur": 90,
    "appareil": 85, "dispositivo": 85, "imei": 80, "household": 55, "asset": 50, "bike": 55,
    "scooter": 55, "ip": 25, "ipaddress": 25, "remoteaddr": 25, "clientip": 25,
}  # fmt: skip
_SUFFIXES: Final = (
    "identifier", "nummer", "number", "uuid", "guid", "hash", "code", "key", "num", "ref", "id", "no", "nr",
    "pk",
)  # fmt: skip
_ALONE: Final = frozenset({*_SUFFIXES, "ids", "externalid", "uid", "userid", "value"})
_NO_USERS: Final = frozenset({"useragent", "agent", "userip", "host", "sessionid"})
_USER_ALONE: Final = {
    "uid": 98, "sub": 58, "email": 50, "mail": 48, "emailaddress": 50, "useremail": 52, "msisdn": 42,
    "phone": 36, "phonenumber": 36, "username": 62, "nickname": 30, "who": 55, "by": 45, "u": 45,
    "id": 20, "uuid": 14, "externalid": 40, "distinctid": 90, "pk": 15, "iduser": 96, "iduser_": 90,
    "idclient": 80,
}  # fmt: skip

_TIMES: Final = {
    "time": 100, "timestamp": 100, "ts": 98, "occurredat": 100, "eventtime": 100, "eventtimestamp": 100,
    "happenedat": 98, "at": 92, "datetime": 95, "when": 90, "eventdate": 80, "date": 78, "occurred": 92,
    "createdat": 86, "created": 84, "creationtime": 84, "createtime": 84, "timems": 96, "tsms": 96,
    "timeus": 96, "tsus": 96, "tsns": 96, "timestampms": 98, "timestampus": 98, "micros": 80,
    "millis": 80, "epoch": 85, "epochms": 85, "unixtime": 88, "unixts": 88, "sentat": 62, "loggedat": 70,
    "recordedat": 72, "measuredat": 80, "observedat": 80, "updatedat": 56, "updated": 55, "changed": 55,
    "changedat": 56, "modified": 54, "modifiedat": 54, "lastmodified": 50, "receivedat": 34,
    "ingestedat": 24, "servertime": 34, "processedat": 22, "zeit": 92, "zeitpunkt": 95, "zeitstempel": 98,
    "datum": 78, "uhrzeit": 60, "fecha": 80, "hora": 60, "heure": 60, "horodatage": 95, "quando": 85,
    "data": 10, "t": 52, "ended": 50, "endedat": 50, "finishedat": 50, "started": 48, "startedat": 50,
    "clock": 50,
}  # fmt: skip
_TIME_ENDS: Final = ("timestamp", "time", "date", "at", "ts", "zeit")
_NO_TIMES: Final = (
    "birth", "dob", "expir", "valid", "due", "until", "trial", "since", "deliver", "signup", "duration",
    "uptime", "runtime", "latency", "format", "rate",
)  # fmt: skip

_NAMES: Final = {
    "event": 100, "eventname": 100, "eventtype": 94, "evt": 92, "ev": 88, "evtname": 95, "evttype": 90,
    "detailtype": 88,
    "action": 82, "actionname": 84, "actiontype": 80, "verb": 84, "activity": 82, "activitytype": 82,
    "what": 74, "type": 72, "msgtype": 66, "messagetype": 70, "recordtype": 46, "name": 62, "kind": 54,
    "operation": 56, "op": 52, "command": 50, "cmd": 50, "t": 48, "e": 48, "n": 30, "a": 20, "topic": 38,
    "transaction": 50, "transactiontype": 64, "step": 36, "stage": 30, "state": 24, "status": 22,
    "method": 12, "subtype": 30, "category": 18, "trigger": 40, "signal": 50, "interaction": 60,
    "hit": 40, "hittype": 50, "vorgang": 78, "ereignis": 96, "aktion": 82, "evenement": 96,
    "événement": 96, "accion": 82, "acción": 82, "evento": 96, "tipo": 60, "typ": 66, "art": 50,
    "title": 14, "label": 14, "code": 12, "@type": 70, "schema": 12, "alert": 34, "alarm": 34,
    "reason": 10,
}  # fmt: skip
_NAME_ENDS: Final = (
    ("eventname", 90), ("eventtype", 88), ("event", 84), ("action", 70), ("activity", 66), ("type", 34),
)  # fmt: skip
_NO_EVENTS: Final = (
    "device", "user", "customer", "account", "client", "content", "mime", "media", "file", "pay", "card",
    "browser", "os", "connection", "network", "currency", "product", "item", "page", "link", "source",
    "object", "entity", "vehicle", "room", "member", "price", "order", "ticket", "plan", "subscription",
    "address", "trans", "is", "has", "last", "no",
)  # fmt: skip
"""Prefixes of fields that hold the type of something else."""
_EVENT_HOLDERS: Final = frozenset({"event", "evt", "ev", "action", "activity", "ereignis", "evento"})

_IDS: Final = {
    "eventid": 100, "eventuuid": 100, "messageid": 96, "msgid": 94, "insertid": 94, "uuid": 80,
    "guid": 80, "id": 74, "recordid": 72, "nonce": 50, "requestid": 52, "traceid": 40,
    "idempotencykey": 90, "dedupid": 90, "eid": 70, "mid": 50, "_id": 80, "logid": 60, "ulid": 80,
    "entryid": 60, "ereignisid": 90, "txid": 56, "transactionid": 56, "transactionuuid": 56,
}  # fmt: skip

BAGS: Final = {
    "properties": 100, "props": 98, "eventproperties": 100, "eventprops": 100, "payload": 92, "data": 88,
    "eventdata": 92, "eventvalue": 70, "params": 90, "parameters": 90, "attributes": 88,
    "attrs": 88, "details": 80, "detail": 80, "body": 76, "fields": 74, "args": 72, "arguments": 72,
    "info": 60, "extra": 40, "extras": 40, "content": 56, "values": 60, "custom": 40, "meta": 16,
    "metadata": 16, "daten": 80, "row": 60,
    "item": 24, "object": 24, "dimensions": 40, "tags": 24, "p": 50, "d": 50, "event": 18, "message": 20,
}  # fmt: skip
"""Names of objects that hold an event's properties."""
TRAITS: Final = {
    "traits": 100, "attributes": 96, "userproperties": 100, "profile": 92, "set": 96, "properties": 90,
    "attrs": 90, "props": 86, "user": 80, "customer": 80, "data": 76, "fields": 76, "payload": 74,
    "row": 84, "after": 84, "new": 66, "record": 74, "values": 76, "state": 60, "changes": 66,
    "details": 66, "body": 56, "document": 76, "doc": 76, "fulldocument": 90, "entity": 70, "object": 66,
    "person": 80, "contact": 80, "member": 76, "account": 76, "params": 50, "info": 60, "daten": 76,
    "info_": 10,
}  # fmt: skip
"""Those of objects that hold a user's properties."""
CONTEXTS: Final = frozenset({"context", "ctx", "meta", "metadata", "env", "environment", "headers", "header"})
TELLING_OF_USERS: Final = frozenset(
    {
        "email", "mail", "firstname", "lastname", "fullname", "name", "phone", "plan", "tier", "city",
        "country", "language", "lang", "locale", "birthday", "dob", "gender", "company", "role", "status",
        "createdat", "updatedat", "signedupat", "lastlogin", "address", "zip", "zipcode", "newsletter",
        "optin", "consent", "subscribed", "vorname", "nachname", "telefon", "ort", "tarif", "balance",
        "loyalty", "points", "segment",
    }
)  # fmt: skip


def bare(name: str | int) -> str:
    """Return a field's name in lower case, without separators."""
    if isinstance(name, int):
        return ""
    return "".join(sign for sign in name.lower() if sign.isalnum())


def _stem(name: str) -> str | None:
    """Return what an id identifies: `customer` for `customerid`; None where the name is no id's."""
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return None


def _is_somebody(holder: str) -> bool:
    return holder in ("by", "who", "u", "from") or _about(holder, USERS) is not None


def has_id_name(name: str) -> bool:
    """Return whether a name ends like an id's."""
    return name in _ALONE or _stem(name) is not None


def _about(stem: str, words: frozenset[str] | dict[str, int]) -> str | None:
    if stem in words:
        return stem
    return next((one for one in words if len(one) > 3 and (stem.startswith(one) or stem.endswith(one))), None)


def as_user(name: str, holder: str) -> int:
    """Return how much a name, in an object named `holder`, looks like a user's id."""
    if name in _NO_USERS:
        return 0
    stem = _stem(name)
    if stem is not None and (word := _about(stem, USERS)) is not None:
        return 100 if stem == "user" else 60 if word == "client" else 94
    if name in _ALONE and _is_somebody(holder):
        return 55 if holder == "client" else 96
    if name in USERS:
        return 60 if name in ("client", "subject", "login", "identity", "host", "agent") else 80
    found = _USER_ALONE.get(name, 0)
    return found + 8 if found > 20 and _about(holder, USERS) else found


def as_anonymous(name: str, holder: str) -> int:
    """Return how much it looks like the id of a device, browser or thing."""
    stem = _stem(name)
    if stem is not None and (word := _about(stem, ANONYMOUS)) is not None:
        return ANONYMOUS[word]
    if name in _ALONE and (word := _about(holder, ANONYMOUS)) is not None:
        return ANONYMOUS[word] - 1
    if name in ("cookie", "sid", "anonymous") and _about(holder, ANONYMOUS):
        return 85
    return ANONYMOUS.get(name, 0) - 6 if name in ANONYMOUS else 0


def as_time(name: str, holder: str) -> int:
    """Return how much it looks like the time of the event."""
    if any(word in name for word in _NO_TIMES):
        return -40
    if name in _TIMES:
        return _TIMES[name]
    for word in ("event", "evt", "client", "occurred", "happened"):
        if name.startswith(word) and name[len(word) :] in _TIMES:
            return max(44, _TIMES[name[len(word) :]] - 4)
    return 44 if name.endswith(_TIME_ENDS) else 0


def as_name(name: str, holder: str) -> int:
    """Return how much it looks like the event's name."""
    if name in ("name", "type", "title", "key", "action") and holder in _EVENT_HOLDERS:
        return 98 if name == "name" else 90
    if name == "name" and (holder in USERS or holder in ("item", "product", "device", "shop", "page")):
        return 0
    found = _NAMES.get(name)
    if found is not None:
        return found
    for end, weight in _NAME_ENDS:
        if name.endswith(end) and not name.startswith(_NO_EVENTS):
            return weight
    return 0


def as_id(name: str, holder: str) -> int:
    """Return how much it looks like the event's own id."""
    if name in ("id", "uuid", "guid") and holder:
        return 92 if holder in (*_EVENT_HOLDERS, "message", "header", "meta", "metadata") else 0
    return _IDS.get(name, 78 if name.endswith(("eventid", "eventuuid")) else 0)
