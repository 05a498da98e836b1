"""Reads the config that a job starts with; also to find beforehand what would make it refuse to start."""

from __future__ import annotations

from pathlib import Path

from pipeline.compile.snapshot import Report, Snapshot, compile_config
from pipeline.config.files import read_config
from pipeline.config.job import PipelineConfig
from pipeline.config.watch import Signature, look, second_look
from pipeline.language.secrets import Secrets
from pipeline.model.process.bounds import bounded


def preflight(config: PipelineConfig, config_dir: Path) -> Snapshot:
    """Return these webhooks, labels and shapes. Raises ConfigError where a job would not start with them."""
    return read_and_compile(config, config_dir)[1].require()


def read_and_compile(config: PipelineConfig, config_dir: Path) -> tuple[Signature, Report]:
    """Return the signature of a config directory before it was read, and what its files compile to."""

    def read() -> tuple[Signature, Report]:
        seen, text = look(config_dir), read_config(config_dir, defaults=config.defaults)
        return seen, compile_config(text, secrets=Secrets(base=config_dir))

    with bounded(root=str(config_dir)):
        return second_look(config_dir, read, lambda found: found[1].snapshot is not None)
