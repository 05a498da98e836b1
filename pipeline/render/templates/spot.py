"""The place in a webhook's file that is being compiled, and what may be used there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NoReturn

from pipeline.config.yaml.diagnostics import KeyPath, Problems
from pipeline.language.path_syntax import EVENT_ROOTS
from pipeline.language.paths import Getter, Scope
from pipeline.language.secrets import PlaceholderError, SecretRef, Secrets, without_value
from pipeline.language.work import CHARS, TooExpensive, spend
from pipeline.model.errors import RenderError
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, Missing, User
from pipeline.render.templates.parsing.names import TemplateError
from pipeline.render.values.printing import Failure, show

MissingRule = Literal["null", "omit", "omit_empty", "dead_letter"]
Predicate = Callable[[Event, User, Scope], bool]
ConditionCompiler = Callable[[Value, Problems], Predicate]
LineOf = Callable[[KeyPath], int | None]


@dataclass(slots=True, eq=False)
class Spot:
    """A place in the file: problems are reported here, and runtime failures name it."""

    problems: Problems
    file: str
    vars: Mapping[str, Value]
    path: KeyPath = ()
    """Keys from where ``problems`` starts (the webhook's `request`, or its `batch`)."""
    roots: tuple[str, ...] = EVENT_ROOTS
    missing: MissingRule = "null"
    form: bool = False
    """True where the body is sent as a form."""
    condition: ConditionCompiler | None = None
    secrets: Secrets | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    """Placeholders that are plain settings here: resolved at load."""
    line_of: LineOf | None = None
    shift: int = 0
    """Offset of the compiled text inside the value: a URL is compiled in parts."""
    used: set[SecretRef] = field(default_factory=set)
    """Collects the secrets that the request uses; shared by all spots of one request."""

    def at(self, *parts: str | int, roots: tuple[str, ...] = ()) -> Spot:
        """Return the spot of a nested key, where more roots may exist."""
        known = self.roots
        if roots:
            known += tuple(root for root in roots if root not in known)
        return self._moved((*self.path, *parts), known, self.shift)

    def shifted(self, by: int) -> Spot:
        """Return the spot of a part that starts this many characters later."""
        return self._moved(self.path, self.roots, self.shift + by)

    def _moved(self, path: KeyPath, roots: tuple[str, ...], shift: int) -> Spot:
        # Written out: `replace` takes five times as long, for each value of each webhook.
        return Spot(
            self.problems,
            self.file,
            self.vars,
            path,
            roots,
            self.missing,
            self.form,
            self.condition,
            self.secrets,
            self.settings,
            self.line_of,
            shift,
            self.used,
        )

    def _at(self, offset: int | None) -> int | None:
        return None if offset is None else offset + self.shift

    def error(
        self,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        offset: int | None = None,
        length: int | None = None,
        on_key: bool = False,
    ) -> None:
        """Report an error here."""
        at = self._at(offset)
        self.problems.error(self.path, code, message, hint=hint, offset=at, length=length, on_key=on_key)

    def refuse(
        self,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        offset: int | None = None,
        length: int | None = None,
    ) -> None:
        """Report an error that counts only where files are read (see `Problems.refuse`)."""
        self.problems.refuse(self.path, code, message, hint=hint, offset=self._at(offset), length=length)

    def warn(
        self,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        offset: int | None = None,
        length: int | None = None,
    ) -> None:
        """Report a warning here."""
        self.problems.warn(self.path, code, message, hint=hint, offset=self._at(offset), length=length)

    def mistake(self, code: str, error: TemplateError | PlaceholderError) -> None:
        """Report a text that cannot be parsed."""
        length = error.length if isinstance(error, TemplateError) else None
        self.error(code, error.message, hint=error.hint, offset=error.offset, length=length)

    def use(self, ref: SecretRef, offset: int | None = None) -> None:
        """Note that a secret is used here; report it where it has no value."""
        self.used.add(ref)
        if self.secrets is not None and not self.secrets.known(ref):
            message, hint = without_value(ref)
            length = None if offset is None else len(ref.source) + 3
            self.error("missing-secret", message, hint=hint, offset=offset, length=length)

    def place(self, source: str) -> str:
        """Return how a message names this spot: ``file:line, request.body.text: {{ template }}``."""
        full = self.problems.prefix + self.path
        line = self.line_of(full) if self.line_of is not None else None
        where = f"{self.file}:{line}" if line else self.file
        shown = " ".join(source.split())
        dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in full).lstrip(".")
        return f"{where}, {dotted}: {shown if len(shown) <= 120 else shown[:120] + '...'}"


LONG_TEXT: Final = 1 << 16
"""Characters above which a text costs work: many copies of a long value must not fill memory."""


def fail(failure: Exception, place: str) -> NoReturn:
    """Raise the RenderError of a failure: reason, value and place."""
    if isinstance(failure, TooExpensive) and not failure.place:
        raise TooExpensive(place, for_all=failure.for_all) from None
    if isinstance(failure, RenderError):
        try:
            raise failure
        finally:
            del failure  # or it would hold itself, and the event, until a garbage collection
    if isinstance(failure, Failure):
        shown = "" if failure.value is MISSING else f": {show(failure.value)}"
        raise RenderError(f"{failure.reason}{shown} ({place})") from None
    raise RenderError(f"{type(failure).__name__}: {str(failure)[:200]} ({place})") from failure


def guarded(getter: Getter, place: str) -> Getter:
    """Return the function with every failure turned into a RenderError that names this place."""

    def guard(event: Event, user: User, scope: Scope) -> Value | Missing:
        try:
            value = getter(event, user, scope)
            if type(value) is str and len(value) > LONG_TEXT:
                spend(event, user, len(value) // CHARS)
            return value
        except Exception as failure:  # whatever goes wrong for one event is one dead letter, never a crash
            fail(failure, place)

    return guard
