"""What a job's owner may try with it: a test send; and the names of its secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from pipeline.admin.routes import Route
from pipeline.compile.secret_uses import Use, file_state, secret_uses
from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.config.files import config_files, is_webhook, read_files
from pipeline.decode.decode import decode
from pipeline.job.assembly import Job
from pipeline.job.settings import wall_clock
from pipeline.job.trials.preview import Preview
from pipeline.job.trials.send_once import match_for, send_once
from pipeline.language.secrets import SecretRef, Secrets
from pipeline.model.errors import UsageError
from pipeline.model.json import Value
from pipeline.model.records import Invalid, Origin, PropertyUpdate


def try_routes(job: Job, process: int) -> list[Route]:
    """Return the routes that try something with one process of a job."""
    versions = job.versions
    known: tuple[str, dict[str, Use]] = ("", {})

    def uses(snapshot: Snapshot) -> dict[str, Use]:
        nonlocal known
        if known[0] != snapshot.hash:
            files = [(one.model.id, one.data) for one in snapshot.checked.webhooks]
            known = snapshot.hash, secret_uses(files, map(SecretRef, snapshot.text.settings))
        return known[1]

    def secrets(names: Sequence[str] = ()) -> Value:
        return _secrets(versions.latest, uses(versions.latest), names)

    def send_test(
        webhook: str, record: Value, user: Value = None, files: Mapping[str, str] | None = None
    ) -> Value:
        if process:
            return None  # one process of a job sends it
        snapshot = versions.latest if not files else _with(versions.latest, files)
        return _sent(snapshot, webhook, record, user)

    return [Route("send-test", send_test), Route("secrets", secrets)]


def _secrets(snapshot: Snapshot, uses: Mapping[str, Use], names: Sequence[str]) -> dict[str, Value]:
    """Return which secrets of its config, and of other names, this process has; and the values of plain
    settings, which are visible in URLs anyway, unless they are secrets elsewhere.
    """
    base = Path(snapshot.text.root)
    found: dict[str, Value] = {}
    for name in dict.fromkeys((*uses, *names)):
        use = uses.get(name, Use())
        is_set, age = bool(os.environ.get(name, "").rstrip("\r\n")), None
        if name.startswith("file:"):
            is_set, age = file_state(name, base)
        found[name] = {"set": is_set, "webhooks": [*use.webhooks], "age_secs": age}
    plain = {name for name, use in uses.items() if use.setting and not use.secret}
    return {
        "secrets": found,
        "settings": {name: value for name, value in snapshot.text.settings.items() if name in plain},
    }


def _with(latest: Snapshot, files: Mapping[str, str]) -> Snapshot:
    """Return a version with only these unsaved webhooks, and what they refer to.

    The caller has tried them in a process with bounds. Raises ConfigError with every finding.
    """
    base = Path(latest.text.root)
    names = [name for name in config_files(base) if not is_webhook(name)]
    text = read_files(base, {*names, *files}, defaults=latest.text.defaults, unsaved=files)
    return compile_config(text, secrets=Secrets(base=base)).require()


def _sent(snapshot: Snapshot, webhook: str, record: Value, user: Value) -> dict[str, Value]:
    """Send a webhook's request for one record, in Hookline's own shape, and what is known of its user.

    With the job's secrets, to the webhook's real URL, whether its trigger holds or not.
    """
    now = wall_clock()
    origin = Origin("test", now)
    records = decode(orjson.dumps(record), format="native", origin=origin, received_at=now)
    broken = next((one for one in records if isinstance(one, Invalid)), None)
    if broken is not None:
        raise UsageError(f"the record cannot be used: {broken.reason}")
    known = None
    if user:
        first = records[0]
        who = {"user_id": first.user_id} if first.user_id else {"anonymous_id": first.anonymous_id}  # type: ignore[union-attr] # none is Invalid
        (known,) = decode(orjson.dumps({"type": "user", **who, "set": user}), format="native", origin=origin)
    found = match_for(snapshot, webhook, records, known if isinstance(known, PropertyUpdate) else None)
    if found is None:
        raise UsageError("there is no event in it, and no change of a property")
    match, holds = found
    shown = {"holds": holds, "request": Preview.of(match).to_json()}
    if match.request is None:
        return {**shown, "answer": None}
    return {**shown, "answer": send_once(snapshot, match, Secrets(base=Path(snapshot.text.root))).to_json()}
