"""Sends one real request of one webhook for a given event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.config.files import read_config
from pipeline.config.job import load_pipeline
from pipeline.job.story import Match
from pipeline.job.trials.preview import Preview
from pipeline.job.trials.send_once import Answer, match_for, send_once
from pipeline.language.secrets import Secrets
from pipeline.model.errors import ConfigError, GivenError
from pipeline.model.findings import Finding
from pipeline.model.process.bounds import bounded
from pipeline.operate.trials.given import Given


@dataclass(slots=True, frozen=True)
class Prepared:
    """A request ready to be sent."""

    snapshot: Snapshot
    match: Match
    holds: bool
    """Whether the trigger holds; it is sent in any case."""

    @property
    def preview(self) -> Preview:
        """The request without its secrets."""
        return Preview.of(self.match)


def prepare(config: Path, webhook_id: str, given: Given, allow: Sequence[str] = ()) -> Prepared:
    """Return a webhook's request for the given event, with the job's secrets.

    allow: opened networks, in place of the config's. Raises ConfigError where the config or the event cannot
    be used or the request cannot be rendered, UsageError for an unknown webhook.
    """
    job = load_pipeline(config, flags={"network.allow": list(allow) or None}).require()
    with bounded(root=str(config)):
        text = read_config(config, defaults=job.defaults)
        snapshot = compile_config(text, secrets=Secrets(base=config)).require()
    found = match_for(snapshot, webhook_id, given.records, given.known, given.before)
    if found is None:
        message = "there is no event in it, and no change of a property"
        raise GivenError([Finding(given.name, 0, 0, "record", message)])
    match, holds = found
    if match.request is None:
        raise ConfigError(f"{webhook_id}: it cannot be rendered: {match.reason}")
    return Prepared(snapshot, match, holds)


def send(prepared: Prepared) -> Answer:
    """Send a request once, by an engine of its own. Raises ConfigError where it cannot be sent at all."""
    secrets = Secrets(base=Path(prepared.snapshot.text.root))
    return send_once(prepared.snapshot, prepared.match, secrets)
