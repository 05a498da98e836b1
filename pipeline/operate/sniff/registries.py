"""Fetches the schemas of framed records from their registry, in memory only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pipeline.compile.shapes import read_formats
from pipeline.config.job import load_pipeline
from pipeline.decode.formats import Formats
from pipeline.decode.framed.framing import Frame
from pipeline.decode.framed.schemas import FOLDER, SCHEMAS, Registry
from pipeline.model.errors import ConfigError
from pipeline.operate.sniff.sample import Sampled

_MOST_SCHEMAS: Final = 100


class Registries:
    """The registry of each record's schema in a sample."""

    def __init__(self, url: str | None, config: Path | None) -> None:
        """url: for all records; None: as a config without errors says for their topics."""
        self._given = None if url is None else Registry(url)
        self._base = config or Path()
        self._formats = Formats()
        if url is None and config is not None and (config / "pipeline.yaml").exists():
            try:
                job = load_pipeline(config).require()
                self._formats = read_formats(config, job.defaults)
            except ConfigError:
                return  # `check` reports what is wrong with it
            SCHEMAS.look_in(job.state / FOLDER)

    def of(self, one: Sampled) -> Registry | None:
        """Return the registry of a record, None where unknown."""
        if self._given is not None:
            return self._given
        frame = self._formats.of(one.origin.source).frame
        return None if frame is None else frame.registry

    def learn(self, records: Sequence[Sampled]) -> Iterator[str]:
        """Fetch the unknown schemas that records name; yield the errors."""
        failed: set[str] = set()
        asked = 0
        for one in records:
            registry = self.of(one)
            if registry is None or registry.url in failed:
                continue
            for id in Frame("avro", registry).wanted(one.raw, one.key, one.headers):
                if SCHEMAS.has(registry.url, id) or asked >= _MOST_SCHEMAS:
                    continue
                asked += 1
                reason = self._ask(registry, id)
                if reason is not None:
                    failed.add(registry.url)
                    yield f"the registry {registry.url} does not say what schema {id} is: {reason}"
                    break

    def _ask(self, registry: Registry, id: str) -> str | None:
        from pipeline.sources.schemas.registry import Unanswered, fetch  # not needed without a registry

        try:
            SCHEMAS.learn(asyncio.run(fetch(registry, id, self._base)))
        except Unanswered as error:
            return str(error)
        return None
