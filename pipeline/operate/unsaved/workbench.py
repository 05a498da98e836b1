"""The workbench: evaluates unsaved texts for many threads, in a child process with bounds.

That process holds the whole config compiled, so that a keystroke costs one file; a hostile text may take
gigabytes or minutes, and then only ends that process. Nothing is written except by `save`, `create` and
`remove`, and nothing is sent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import orjson

from pipeline.compile.snapshot import Report
from pipeline.compile.trial.helper import NoTrial, Standby
from pipeline.join.known import Known
from pipeline.model.errors import ConfigError, StateError
from pipeline.model.json import Value
from pipeline.model.process.bounds import Bounds, Exceeded
from pipeline.model.words import no_webhook
from pipeline.operate.files import edits
from pipeline.operate.files.authors import Offered
from pipeline.operate.running.looks import Sample
from pipeline.operate.unsaved.environment import Environment, SecretState
from pipeline.operate.unsaved.results import (
    Checked,
    Completion,
    Explanation,
    LabelSeen,
    Previewed,
    WouldFire,
)
from pipeline.store.rows import Table

Result = TypeVar("Result")

CHILD: Final = "pipeline.operate.unsaved.child"
OFFERED: Final = 4
"""Sample lists that the child may request; later callers do not displace those of earlier, waiting ones."""
BOUNDS: Final = Bounds(file_secs=5.0, memory_bytes=1 << 30, still_secs=60.0)
"""Somebody is waiting while typing: half of what a config read once may take."""


class Workbench:
    """Unsaved texts of one config, tried as its job would take them. Every method may be called by any
    thread, and blocks until it knows: 20 to 60 ms once the config was read.

    may_edit: whether who asks may write the file: for others no value is looked up that the files on disk do
    not show anyway, and a text that names one is not tried but reported as an error. Every method raises
    ConfigError where the config cannot be read at all.
    """

    def __init__(
        self,
        config: Path,
        state: Path | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        authors: Offered = None,
    ) -> None:
        """state: the job's, whose secrets and users are used; None: there is no job. environ: where variables
        are looked up while no job runs. authors: the secrets that users may use.
        """
        self.config = config
        self._state = state
        self._authors = authors
        self._root = str(config)
        self._environment = Environment(state, environ)
        self._standby = Standby(CHILD, self._reply)
        self._lock = threading.Lock()
        self._samples: dict[str, Value] = {}
        self._catalog: dict[str, Value] = {}
        self._known: Known | None = None
        self.is_read = False
        """Whether the config was read and compiled once, which takes seconds with a thousand webhooks."""

    def prepare(self) -> None:
        """Read and compile the config now, so that the first keystroke need not wait for it."""
        self._ask({"do": "prepare"})

    def close(self) -> None:
        """End the child; callers still waiting get an error."""
        self._standby.stop()
        self._standby.close()

    def check(self, file: str, text: str | None, *, may_edit: bool = True) -> Checked:
        """Return what `hookline check` would find in the whole config with this text in the file's place.

        file: ``webhooks/crm.yaml``; it need not exist. text: None: as if the file were gone.
        """
        request = {"do": "check", "file": file, "text": text}
        return self._try(request, Checked, lambda checked: checked, may_edit)

    def check_saved(self) -> Checked:
        """Return what `hookline check` finds in the config as it is on disk."""
        return self._try({"do": "check", "file": None}, Checked, lambda checked: checked)

    def preview(
        self,
        file: str,
        text: str,
        record: str,
        user: str | None = None,
        *,
        may_edit: bool = True,
    ) -> Previewed:
        """Return why the webhook of this text fires on a record or not, and the request that it would send.

        record: JSON, in any shape that the config reads. user: their properties, as JSON; None: as the job
        knows them now. A webhook that is disabled is tried as if it were not.
        """
        request = {"do": "preview", "file": file, "text": text, "record": record, "user": user}
        return self._try(request, Previewed, Previewed, may_edit)

    def explain(self, record: str, user: str | None = None) -> Explanation:
        """Return what every webhook of the config on disk makes of a record.

        record: JSON, in any shape that the config reads. user: as in `preview`.
        """
        told = self._ask({"do": "explain", "file": None, "record": record, "user": user})
        return msgspec.convert(told["result"], Explanation)

    def would_fire(
        self, file: str, text: str, samples: Sequence[Sample], *, may_edit: bool = True
    ) -> WouldFire:
        """Return on how many samples the webhook of this text would fire, and that of the file on disk did.

        The samples are taken in time order, with users as the job knows them now beneath what the samples
        themselves say.
        """
        request = {"do": "would_fire", "file": file, "text": text, "samples": self._offered(samples)}
        return self._try(request, WouldFire, WouldFire, may_edit)

    def labels(self, samples: Sequence[Sample]) -> list[LabelSeen]:
        """Return the labels of the config on disk, each with what it matches among samples.

        Users are as the job knows them now beneath what the samples themselves say.
        """
        request = {"do": "labels", "file": None, "samples": self._offered(samples)}
        return self._try(request, list[LabelSeen], lambda checked: [])

    def _offered(self, samples: Sequence[Sample]) -> str:
        """Return the name under which the child can request samples."""
        tried = [[sample.id, list(sample.records)] for sample in samples]
        key = blake2b(orjson.dumps(tried), digest_size=16).hexdigest()
        self._samples = {**dict([*self._samples.items()][-OFFERED:]), key: tried}
        return key

    def complete(
        self,
        file: str,
        text: str,
        line: int,
        column: int,
        *,
        catalog: Value = None,
        may_edit: bool = True,
    ) -> list[Completion]:
        """Return what may stand at a place of a text, the likeliest first; also of a text with errors.

        line, column: of the cursor, from 1, in characters. catalog: names and properties that were seen
        (`operate/running/looks.py`); None: none.
        """
        key = blake2b(orjson.dumps(catalog), digest_size=16).hexdigest()
        self._catalog = {key: catalog}
        request = {"do": "complete", "file": file, "text": text, "line": line, "column": column}
        return self._try({**request, "catalog": key}, list[Completion], lambda checked: [], may_edit)

    def secrets(self) -> list[SecretState]:
        """Return the secrets and settings of the config on disk: who uses them, whether the job has them."""
        known = self._ask({"do": "secrets"})
        return [*self._environment.secrets(known["result"]).values()]

    def webhooks(self) -> list[Value]:
        """Return the webhooks of the config on disk, including faulty ones as far as they can be read: id,
        file, enabled, description, trigger, url, method as written, and the number of errors.
        """
        listed: list[Value] = self._ask({"do": "webhooks"})["result"]
        return listed

    def file_of(self, webhook_id: str) -> str:
        """Return the name of the file that defines a webhook. Raises ConfigError where there is none."""
        known = {str(one["id"]): str(one["file"]) for one in self.webhooks()}
        if webhook_id not in known:
            raise ConfigError(no_webhook(webhook_id, known))
        return known[webhook_id]

    def read(self, file: str, *, guess: bool = False) -> edits.FileText:
        """Return a file of the config with its tag, as `edits.read` does."""
        return edits.read(self.config, file, guess=guess)

    def save(self, file: str, text: str, etag: str, *, dry_run: bool = False) -> edits.Saved:
        """Write a file that was read under this tag, if that adds no errors to the config.

        Raises Changed where the file has changed since, and ConfigError with the new errors; nothing is
        written then.
        """
        return edits.save(self.config, file, text, etag, dry_run=dry_run, checker=self._checker)

    def create(self, webhook_id: str, text: str, *, dry_run: bool = False) -> edits.Saved:
        """Write the file of a new webhook, named after its id. Raises as `save` does."""
        return edits.create(self.config, webhook_id, text, dry_run=dry_run, checker=self._checker)

    def remove(self, file: str, etag: str, *, dry_run: bool = False) -> edits.Saved:
        """Delete a file that was read under this tag. Raises as `save` does."""
        return edits.remove(self.config, file, etag, dry_run=dry_run, checker=self._checker)

    def _checker(self, config: Path, *, offline: bool, unsaved: Mapping[str, str | None]) -> Report:
        """Do the same as `operate.check.check`, within the child's bounds."""
        assert len(unsaved) <= 1  # one file is saved at a time
        found = self.check_saved()
        for file, text in unsaved.items():
            found = self.check(file, text)
        return Report(None, list(found.findings), self._root)

    def _try(
        self,
        request: dict[str, Value],
        kind: type[Result],
        otherwise: Callable[[Checked], Result],
        may_edit: bool = True,
    ) -> Result:
        """Return the result of a request. otherwise: makes it from findings alone, where the text exceeds the
        bounds, or names what may not be looked up.
        """
        file: str | None = request["file"]
        if file is not None:
            edits.require_editable(file)
        try:
            told = self._ask({**request, "settings": may_edit and self._authors is None})
        except Exceeded as error:
            return otherwise(Checked(file or "", (error.finding,)))
        if "untried" in told:
            return otherwise(msgspec.convert(told["untried"], Checked))
        return msgspec.convert(told["result"], kind)

    def _ask(self, request: dict[str, Value]) -> dict[str, Value]:
        with self._lock:
            whole = {
                **request,
                "config": self._root,
                "state": self._state is not None,
                "environment": self._environment.refresh(),
            }
            try:
                answer = self._standby.ask(whole, BOUNDS, self._root)
                self.is_read = True
                return answer
            except NoTrial as error:
                raise ConfigError(f"no process can be had to try texts in: {error}") from None
            finally:
                self._let_go()

    def _reply(self, asked: Value) -> Value:
        """Answer the child's questions."""
        match asked:
            case {"variable": str(name)}:
                return self._environment.value(name)
            case {"named": str(name)}:
                return self._environment.is_set(name)
            case {"prefix": str(prefix)}:
                return self._environment.beginning(prefix)
            case {"samples": str(key)}:
                return self._samples.get(key)
            case {"catalog": str(key)}:
                return self._catalog.get(key)
            case {"row": [int(table), str(key)]}:
                users = self._users()
                row = None if users is None else users.get(Table(table), bytes.fromhex(key))
                return None if row is None else row.decode("latin-1")
            case {"merged": _}:
                users = self._users()
                rows = () if users is None else users.merged()
                return [[key.hex(), value.decode("latin-1")] for key, value in rows]
        raise AssertionError(asked)

    def _users(self) -> Known | None:
        """Return what the job knows of users; None where it has no state yet, or an unreadable one."""
        if self._known is None and self._state is not None:
            try:
                self._known = Known(self._state)
            except StateError:
                return None
        return self._known

    def _let_go(self) -> None:
        known, self._known = self._known, None
        if known is not None:
            known.close()
