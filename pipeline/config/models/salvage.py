"""Keeps the valid parts of a faulty webhook, so that compilers find further faults in the same run."""

from __future__ import annotations

from copy import deepcopy

from pipeline.config.models.validate import check
from pipeline.config.models.webhooks.webhook import WebhookFile
from pipeline.config.yaml.diagnostics import KeyPath, Problem, Problems
from pipeline.model.json import Value

_ROUNDS = 4


def salvage(data: dict[str, Value], problems: Problems) -> tuple[dict[str, Value], WebhookFile | None]:
    """Return a copy of the data without its faulty fields, and the model that accepts it (None: impossible).

    Missing required fields get a stand-in. Faults that a model only finds once others are gone are added to
    the problems.
    """
    kept = deepcopy(data)
    found = problems.found
    for _ in range(_ROUNDS):
        for problem in found:
            _remove(kept, problem)
        _stand_in(kept)
        again = Problems(stored=problems.stored)
        model = check(WebhookFile, kept, again, what="a webhook")
        if model is not None:
            return kept, model
        found = again.found
        problems.found.extend(problem for problem in found if problem.code == "one-of")
    return kept, None


def _remove(kept: dict[str, Value], problem: Problem) -> None:
    path: KeyPath = problem.path
    if problem.code == "one-of" and path == ("trigger",):
        kept["trigger"].pop("changes", None)
    if not path or (path in (("trigger",), ("request",)) and problem.code != "wrong-type"):
        return
    holder, last = kept, path[0]
    here: Value = kept
    for part in path:
        if isinstance(here, dict) and part in here:
            holder, last, here = here, part, here[part]
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        else:
            return
    holder.pop(str(last), None)


def _stand_in(kept: dict[str, Value]) -> None:
    kept.setdefault("id", "unnamed")
    trigger = kept.setdefault("trigger", {})
    if isinstance(trigger, dict) and "events" not in trigger and "changes" not in trigger:
        trigger["events"] = ["*"]
    request = kept.setdefault("request", {})
    if isinstance(request, dict):
        request.setdefault("url", "https://example.com/")
