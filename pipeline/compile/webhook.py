"""One compiled webhook: the one place where its model meets match, render and deliver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from pipeline.compile.answers import check_answer_paths, reads_of
from pipeline.compile.lint import lint_webhook
from pipeline.config.files import ConfigText
from pipeline.config.models.webhooks.delivery import DeliverySettings
from pipeline.config.webhooks import CheckedWebhook
from pipeline.config.yaml.diagnostics import KeyPath, Problems
from pipeline.config.yaml.document import locate
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.join.caps import Caps
from pipeline.join.limits import Verdict, check
from pipeline.language.path_syntax import EVENT_ROOTS
from pipeline.language.paths import Getter, Scope
from pipeline.language.secrets import Secrets
from pipeline.language.work import TooExpensive, begin
from pipeline.match.conditions.compile import compile_condition
from pipeline.match.conditions.nodes import Predicate
from pipeline.match.labels import Labels
from pipeline.match.triggers import Trigger, compile_idempotency, compile_trigger
from pipeline.model.json import Value
from pipeline.model.process.under_way import begins
from pipeline.model.records import Event, User
from pipeline.render.request import RequestTemplate, compile_request
from pipeline.render.wrap import compile_wrap


@dataclass(slots=True, frozen=True, eq=False)
class Webhook:
    """One webhook, ready to match, render and deliver."""

    id: str
    enabled: bool
    trigger: Trigger
    request: RequestTemplate
    delivery: DeliverySettings
    spec: LaneSpec
    file: str
    """Its file, relative to the config directory."""
    data: Mapping[str, Value] = field(repr=False)
    """The file's data, with bases and defaults merged, for `explain`."""
    idempotency: Getter | None = None
    """What the ``webhook-id`` is computed from; None: the event's id."""
    asks_user: bool = field(init=False)
    """False where every candidate fires: `judge` has nothing to do once the event's side holds."""

    def __post_init__(self) -> None:
        """Note what the trigger still has to evaluate."""
        asks = self.trigger.user_side is not None or self.trigger.limits is not None
        object.__setattr__(self, "asks_user", asks)

    def judge(self, caps: Caps, user_key: str, event: Event, user: User) -> Verdict:
        """Return what becomes of a candidate: the user's side of its conditions, then its limits.

        Raises TooExpensive where the conditions exceed the budget; nothing is counted then.
        """
        trigger = self.trigger
        if trigger.user_side is not None and not self._user_side(trigger.user_side, event, user):
            return Verdict.NOT_YET
        return Verdict.FIRE if trigger.limits is None else check(trigger.limits, caps, user_key, event, user)

    @staticmethod
    def _user_side(holds: Predicate, event: Event, user: User) -> bool:
        try:
            return holds(event, user, None)
        except TooExpensive:
            begin(event, user)  # other webhooks have used part of it
            return holds(event, user, None)


def compile_webhook(
    file: CheckedWebhook, text: ConfigText, labels: Labels, exclude: tuple[str, ...], secrets: Secrets | None
) -> Webhook:
    """Return a webhook; mistakes are among the file's problems.

    exclude: labels whose events no webhook gets. secrets: as for `compile_config`.
    """
    begins(file.file)
    model, problems = file.model, file.problems
    trigger = compile_trigger(model, problems=problems, labels=labels, exclude=exclude, lists=file.lists)
    if not model.enabled:
        trigger = replace(trigger, events=(), changes=None)
    delivery = model.delivery
    batch = delivery.batch
    lines, condition = partial(_line_of, file), partial(_condition, labels=labels, file=file)
    request = compile_request(
        model.request,
        vars=model.vars,
        # Inside a `$for` an `$if` may read the item.
        condition=partial(condition, roots=(*EVENT_ROOTS, "item", "index")),
        settings=text.settings,
        secrets=secrets,
        problems=problems.at("request"),
        file=file.file,
        line_of=lines,
        batch_as=batch.as_ if batch is not None else None,
    )
    wrap = None
    if batch is not None:
        wrap = compile_wrap(
            batch,
            vars=model.vars,
            problems=problems.at("delivery", "batch"),
            file=file.file,
            secrets=secrets,
            line_of=lines,
        )
    judges: dict[str, Predicate] = {}
    for name, tree in (("fail_when", delivery.fail_when), ("retry_when", delivery.retry_when)):
        if tree is not None:
            place = problems.at("delivery", name)
            judges[name] = _judged(condition(tree, place, roots=("response", "vars")))
            if not problems.stored:
                check_answer_paths(tree, place)
    if not problems.stored:
        lint_webhook(model, text, problems, secrets)
    if not model.enabled:  # nothing is sent: a secret may still come
        problems.soften("missing-secret")
    spec = LaneSpec(
        webhook_id=model.id,
        definition=file.definition,
        place=request.place,
        enabled=model.enabled,
        delivery=delivery,
        receiver=model.request.receiver(),
        encoding=model.request.encoding,
        wrap=wrap,
        fail_when=judges.get("fail_when"),
        retry_when=judges.get("retry_when"),
        reads=reads_of([tree for tree in (delivery.fail_when, delivery.retry_when) if tree is not None]),
    )
    return Webhook(
        id=model.id,
        enabled=model.enabled,
        trigger=trigger,
        request=request,
        delivery=delivery,
        spec=spec,
        file=file.file,
        data=file.data,
        idempotency=compile_idempotency(model, problems=problems),
    )


def _judged(fails: Predicate) -> Predicate:
    """Return a condition over an answer with a budget of its own; raises TooExpensive."""

    def judged(event: Event, user: User, scope: Scope) -> bool:
        begin(event, user)
        return fails(event, user, scope)

    return judged


def _condition(
    tree: Value, problems: Problems, *, labels: Labels, file: CheckedWebhook, roots: tuple[str, ...]
) -> Predicate:
    return compile_condition(
        tree, problems, labels=labels, lists=file.lists, vars=file.model.vars, roots=roots
    ).whole


def _line_of(file: CheckedWebhook, path: KeyPath) -> int | None:
    """Return the line of a key path for the reasons of dead letters; None inside a base."""
    found = locate(file.root, path)
    if found.node.document is not file.root.document:
        return None
    return (found.key or found.node.span).line + 1
