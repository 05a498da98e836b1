"""Compiles a config for verbs that send nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.config.files import read_config
from pipeline.config.job import load_pipeline
from pipeline.model.process.bounds import bounded


def load_snapshot(config: Path, paths: Sequence[str] = ()) -> Snapshot:
    """Return the config compiled without looking up secrets or refusing addresses; for verbs that send
    nothing.

    paths: read in place of the config's source. Raises ConfigError with every finding.
    """
    flags = {"source.jsonl.paths": list(paths)} if paths else {}
    with bounded(root=str(config)):
        defaults = replace(
            load_pipeline(config, flags=flags).require().defaults, network_allow=("0.0.0.0/0", "::/0")
        )
        return compile_config(read_config(config, defaults=defaults), secrets=None).require()
