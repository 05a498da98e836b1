"""What the receiver answers, by path.

A script is JSON: a path (or ``*``) and the answers to its requests one after the other, the last one
repeated. An answer is a status, the name of a fault (faults.py), or an object with the fields of `Answer`::

    {"/orders": [503, "reset", {"status": 200, "delay_secs": 0.5, "body": "{\\"ok\\": true}"}],
     "/flaky": {"per_id": true, "answers": [500, 500, 200]},
     "*": [200]}
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.receiver.answer import Answer, plain_answer
from pipeline.receiver.faults import FAULTS
from pipeline.receiver.received import Request


def answer_of(value: Any) -> Answer:
    """Return the answer that a value of the script stands for; raises ValueError."""
    if isinstance(value, Answer):
        return value
    if isinstance(value, bool):
        raise ValueError("an answer is a status, a fault's name or an object, not true or false")
    if isinstance(value, int):
        return plain_answer(value, b"", ())
    if isinstance(value, str):
        if value not in FAULTS:
            raise ValueError(f"{value} is no fault; there are: {', '.join(sorted(FAULTS))}")
        return Answer(fault=value)
    if not isinstance(value, dict):
        raise ValueError("an answer is a status, a fault's name or an object")
    unknown = value.keys() - {"status", "fault", "delay_secs", "body", "headers"}
    if unknown:
        raise ValueError(f"an answer has no field {', '.join(sorted(unknown))}")
    if value.get("fault") is not None:
        answer_of(value["fault"])
    body = value.get("body", "")
    headers = tuple((str(name), str(text)) for name, text in dict(value.get("headers", {})).items())
    plain = plain_answer(
        int(value.get("status", 200)), body if isinstance(body, bytes) else str(body).encode(), headers
    )
    return replace(plain, fault=value.get("fault"), delay_secs=float(value.get("delay_secs", 0)))


@dataclass(slots=True)
class Steps:
    """The answers of one path, and how many have been used."""

    answers: list[Answer]
    per_id: bool = False
    """True: every webhook-id goes through the answers separately."""
    used: dict[str, int] = field(default_factory=dict)

    def next(self, message_id: str) -> Answer:
        """Return the answer for the next request."""
        if len(self.answers) == 1:
            return self.answers[0]
        key = message_id if self.per_id else ""
        place = self.used.get(key, 0)
        self.used[key] = place + 1
        return self.answers[min(place, len(self.answers) - 1)]


class Script:
    """All paths. May be replaced while the receiver runs."""

    def __init__(self, paths: dict[str, Any] | None = None) -> None:
        """paths: see the module. Raises ValueError."""
        self._paths: dict[str, Steps] = {}
        for path, value in ({"*": [200]} if paths is None else paths).items():
            self._paths[path] = _steps(value)
        self._default = self._paths.get("*") or Steps([answer_of(200)])

    def answer(self, request: Request) -> Answer:
        """Return the answer for the next request of a path."""
        return self._paths.get(request.path, self._default).next(request.message_id)

    def on_connect(self) -> str | None:
        """Return the fault for a new connection: the path ``<connect>``, if the script has it."""
        steps = self._paths.get("<connect>")
        return steps.next("").fault if steps is not None else None


def _steps(value: Any) -> Steps:
    per_id = False
    if isinstance(value, dict) and "answers" in value:
        value, per_id = value["answers"], bool(value.get("per_id"))
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError("a path needs at least one answer")
    return Steps([answer_of(each) for each in values], per_id)
