"""Compiles a webhook's trigger (LANGUAGE 2): which events or changes fire it, under which conditions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sized
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final, Literal

from pipeline.config.models.webhooks.webhook import Sample, WebhookFile
from pipeline.config.yaml.diagnostics import Problems
from pipeline.join.limits import EVER, Cap, Limits
from pipeline.language.path_syntax import Path, PathError, parse_path
from pipeline.language.paths import Getter, Scope, compile_identity, compile_path
from pipeline.language.vars import unknown_var
from pipeline.language.work import TooExpensive, begin
from pipeline.match.conditions.compile import compile_condition
from pipeline.match.conditions.nodes import Condition, Node, Predicate, all_of, any_of, conjunction, group
from pipeline.match.labels import Alternative, Labels
from pipeline.match.operators.suspects import looks_like_list
from pipeline.model.json import Value, canonical
from pipeline.model.records import MISSING, Event, User

_NO_EVENTS: Final = {
    "$identify": 'identify calls are no events: write `changes: "*"` instead of `events`',
    "$set": "property updates are no events: write `changes: [...]` instead of `events`",
    "$set_once": "property updates are no events: write `changes: [...]` instead of `events`",
    "$unset": "property updates are no events: write `changes: [...]` instead of `events`",
    "identify": 'identify calls are no events: write `changes: "*"` instead of `events`',
    "User updated": 'property updates are no events: write `changes: "*"` instead of `events`',
    "$create_alias": "identity links are no events",
}


@dataclass(slots=True, frozen=True)
class _Context:
    """What the parts of a trigger share while it is compiled."""

    problems: Problems
    labels: Labels
    lists: Mapping[str, Collection[str]]
    vars: Mapping[str, Value]

    def at(self, *parts: str | int) -> _Context:
        """Return the same for a nested place."""
        return _Context(self.problems.at(*parts), self.labels, self.lists, self.vars)


@dataclass(slots=True, eq=False)
class Trigger:
    """A compiled trigger. TriggerIndex decides names, kinds and event side; the shard the user side."""

    webhook_id: str
    events: tuple[Alternative, ...]
    """The ways an event can match; () for a `changes` trigger."""
    changes: frozenset[str] | Literal["*"] | None
    """The properties whose change fires; None for an `events` trigger."""
    event_side: Predicate | None
    """What `where`, `exclude` and `sample` read of the event alone; None: nothing (`changes`: always)."""
    user_side: Predicate | None
    """What remains once the user is known; None: nothing. For `changes` triggers it is everything."""
    sample: Predicate | None
    limits: Limits | None
    nodes: tuple[Node, ...]
    """The clauses of where, exclude and sample, for explain and the index."""
    excludes: Mapping[str, Predicate]
    """By the label's name, what must hold of the excluded labels that read the event alone."""

    def costly(self, event: Event, user: User) -> TooExpensive:
        """Return why evaluating this event exceeds the budget, with the clause's place."""
        ways: list[tuple[str, Predicate]] = (
            [("events", any_of([one.matches for one in self.events]))] if (self.events) else []
        )
        begin(event, user)
        for text, test in [*ways, *((node.text, node.test) for node in self.nodes)]:
            try:
                if not test(event, user, None):
                    break
            except TooExpensive as error:
                return TooExpensive(text, for_all=error.for_all)
        # Alone it is within the budget: those evaluated before it used too much.
        return TooExpensive("conditions", for_all=True)

    def holds(self, event: Event, user: User, changed: Collection[str] = ()) -> bool:
        """Return True where the trigger fires, limits aside: what the index and both sides say together."""
        if self.changes is not None:
            if event.kind != "update" or not touches(self.changes, changed or event.properties):
                return False
        elif not any(one.may_match(event, user) for one in self.events):
            return False
        return (self.event_side is None or self.event_side(event, user, None)) and (
            self.user_side is None or self.user_side(event, user, None)
        )


def touches(changes: frozenset[str] | Literal["*"], changed: Collection[str]) -> bool:
    """Return whether a changed property is one that a `changes` trigger names."""
    return bool(changed) if changes == "*" else any(name in changes for name in changed)


def compile_trigger(
    webhook: WebhookFile,
    *,
    problems: Problems,
    labels: Labels | None = None,
    exclude: Collection[str] = (),
    lists: Mapping[str, Collection[str]] | None = None,
) -> Trigger:
    """Return the trigger of a webhook: its `trigger`, `limit`, `dedupe`, `include_excluded`.

    exclude: labels of `pipeline.yaml` that apply to every webhook; they must exist. Mistakes are added to the
    problems; a trigger with errors must not be run.
    """
    context = _Context(problems, labels or Labels(), lists or {}, webhook.vars)
    trigger, within = webhook.trigger, context.at("trigger")
    changes = _changes(trigger.changes, within, webhook) if trigger.changes is not None else None
    events = _events(trigger.events, within) if trigger.events is not None else []
    nodes: list[Node] = []
    if trigger.where is not None:
        where = compile_condition(
            trigger.where,
            within.problems.at("where"),
            labels=context.labels,
            lists=context.lists,
            vars=context.vars,
        )
        nodes += where.nodes
        if changes is not None:
            _warn_of_labels(where.nodes, within)
    excludes: dict[str, Predicate] = {}
    for name in () if webhook.include_excluded else exclude:
        node = _excluded(name, context.labels)
        nodes.append(node)
        if not node.reads_user:
            excludes[name] = node.test
    sample = _sample(trigger.sample, webhook.id, within.at("sample"))
    if sample is not None:
        nodes.append(sample)
    condition = conjunction(nodes)
    limits = _limits(webhook, context)
    if changes is None:
        event_side, user_side = condition.event_side, _user_side(events, condition)
    else:
        events, event_side, user_side = [], None, condition.whole if nodes else None
    drawn = sample.test if sample is not None else None
    return Trigger(
        webhook.id, tuple(events), changes, event_side, user_side, drawn, limits, condition.nodes, excludes
    )


def _user_side(events: list[Alternative], condition: Condition) -> Predicate | None:
    """Return the user's side; with labels that read the user it checks again which alternative holds."""
    if not any(one.condition.reads_user for one in events):
        return condition.user_side
    rest = [] if condition.user_side is None else [condition.user_side]
    return all_of([any_of([one.matches for one in events]), *rest])


def _events(names: list[str], context: _Context) -> list[Alternative]:
    problems = context.problems.at("events")
    if not names:
        wanted = 'write event names or labels, or "*" for every event'
        problems.error((), "empty-list", "`events` names no event", hint=wanted)
    for index, name in enumerate(names):
        hint = _NO_EVENTS.get(name)
        if hint is not None and name not in context.labels.names():
            problems.warn((index,), "no-event", f"`{name}` never comes as an event", hint=hint)
    return context.labels.alternatives(names, problems)


_PATH_OF_PROPERTY: Final = re.compile(r"(?:(?:user|person|properties|traits)\.)+([^.]+)")


def _changes(names: list[str], context: _Context, webhook: WebhookFile) -> frozenset[str] | Literal["*"]:
    problems = context.problems.at("changes")
    if not names:
        hint = 'write names of user properties, or "*" for all of them'
        problems.error((), "empty-list", "`changes` names no property", hint=hint)
        return frozenset()
    if not all(names):
        problems.error((), "wrong-name", '`changes` takes names of user properties, or "*"')
        return frozenset()
    if "*" in names:
        return "*"
    for index, name in enumerate(names):
        if (path := _PATH_OF_PROPERTY.fullmatch(name)) is not None:
            hint = f"did you mean `{path[1]}`?"
            problems.warn((index,), "wrong-name", f"`{name}` is a path, and `changes` takes names", hint=hint)
        elif "." in name and not _is_one_name(name, webhook):
            top = name.partition(".")[0]
            hint = (
                f"for a nested one write `{top}`, and compare `user.before.{name}` in `where`; else read "
                f'it as `user.properties["{name}"]`'
            )
            message = f"`{name}` is the name of one property here, with its dot"
            problems.warn((index,), "wrong-name", message, hint=hint)
        elif (told := looks_like_list(name)) is not None:
            problems.warn((index,), "looks-like-list", told[0], hint=told[1])
    return frozenset(names)


def _warn_of_labels(nodes: Iterable[Node], context: _Context) -> None:
    """Warn of labels about events among what must hold: a change is none, so the webhook never fires."""
    wanted = {node.key for node in nodes}
    for name in context.labels.names():
        label = context.labels.get(name)
        if label is None or label.node.key not in wanted:
            continue
        if label.alternatives and all(one.about_events for one in label.alternatives):
            message = f"the label `{name}` is about events, and a change of a property is none: never fires"
            hint = f"write `events: [{name}]` instead of `changes`, or leave the label out"
            context.problems.warn(("where",), "wrong-label", message, hint=hint, on_key=True)


def _is_one_name(name: str, webhook: WebhookFile) -> bool:
    """Return whether the webhook reads a property of this name elsewhere: ``user.properties["a.b"]``."""
    read = re.compile(rf"""\[\\?["']{re.escape(name)}\\?["']\]""")
    return read.search(repr((webhook.trigger.where, webhook.request))) is not None


def _excluded(name: str, labels: Labels) -> Node:
    node = labels.node(name)
    assert node is not None, name
    return replace(group("not", [node]), text=f"exclude: {name}")


# --- sample


def _sample(sample: Sample | None, webhook_id: str, context: _Context) -> Node | None:
    path = _one_path(sample.by, context) if sample is not None else None
    if sample is None or path is None:
        return None
    percent = int(sample.percent) if sample.percent.is_integer() else sample.percent
    read = _user_or_anonymous if path.text == "user.id" else compile_path(path, context.vars)
    threshold = int(percent / 100 * (1 << 64))
    salted = blake2b(webhook_id.encode("utf-8", "surrogatepass") + b"\0", digest_size=8)

    def test(event: Event, user: User, scope: Scope) -> bool:
        value = read(event, user, scope)
        if value is MISSING:
            return False
        digest = salted.copy()
        digest.update(canonical(value))
        return int.from_bytes(digest.digest()) < threshold

    return Node(
        test,
        f"sample({webhook_id},{percent!r},{path.text})",
        path.reads_user,
        f"sample: {percent:g}% by {path.text}",
        path=path.text,
        read=read,
        operand=percent,
    )


def _user_or_anonymous(event: Event, user: User, scope: Scope) -> Value:
    """Return the user id, or the anonymous id where there is none yet."""
    if user.id is not None:
        return user.id
    return MISSING if user.anonymous_id is None else user.anonymous_id


# --- limits


def _limits(webhook: WebhookFile, context: _Context) -> Limits | None:
    repeat, limit, dedupe = webhook.trigger.repeat, webhook.limit, webhook.dedupe
    if repeat is None and limit is None and dedupe is None:
        return None

    def cap(count: int, secs: float | None, by: list[str], *place: str) -> Cap:
        paths = _paths(by, context.at(*place))
        within_ms = EVER if secs is None else max(1, round(secs * 1000))
        by_id = len(paths) == 1 and paths[0].reads_event_id
        return Cap(count, within_ms, compile_identity(paths, context.vars) if paths else None, by_id)

    return Limits(
        webhook.id,
        cap(repeat.count, repeat.within_secs, _some(repeat.by), "trigger", "repeat") if repeat else None,
        cap(limit.count, limit.every_secs, _some(limit.by), "limit") if limit else None,
        cap(1, dedupe.within_secs, dedupe.by, "dedupe") if dedupe else None,
    )


def compile_idempotency(webhook: WebhookFile, *, problems: Problems) -> Getter | None:
    """Return what the ``webhook-id`` is computed from; None: the event's id, the default.

    Only paths of the event are accepted: user properties may differ when an event is sent again.
    """
    if webhook.idempotency is None:
        return None
    context = _Context(problems.at("idempotency"), Labels(), {}, webhook.vars)
    paths = _paths(webhook.idempotency.by, context)
    if len(paths) < len(webhook.idempotency.by):
        return None
    for index, path in enumerate(paths):
        if path.root != "event" or path.reads_user:
            message = f"`{path.text}` does not stand in the event, and may differ when it comes again"
            hint = "such as [event.source, event.id]"
            place = _place(webhook.idempotency.by, index)
            context.problems.error(place, "wrong-path", message, hint=hint)
    return compile_identity(paths, webhook.vars) if paths else None


def _some(by: str | None) -> list[str]:
    return [] if by is None else [by]


def _paths(texts: list[str], context: _Context) -> list[Path]:
    found = [_one_path(text, context, _place(texts, index)) for index, text in enumerate(texts)]
    return [path for path in found if path is not None]


def _place(texts: Sized, index: int) -> tuple[str | int, ...]:
    return ("by", index) if len(texts) > 1 else ("by",)


def _one_path(text: str, context: _Context, place: tuple[str | int, ...] = ("by",)) -> Path | None:
    """Return the path in the field `by`; None, with a problem, where it is invalid."""
    try:
        path = parse_path(text)
        if path.has_any:
            raise PathError("`[*]` stands for many values, expected one", 0)
        wrong = unknown_var(path, context.vars)
        if wrong is not None:
            raise wrong
    except PathError as error:
        context.problems.error(
            place, "wrong-path", error.message, hint=error.hint, offset=error.offset or None
        )
        return None
    return path
