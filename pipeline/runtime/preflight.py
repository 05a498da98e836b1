"""Finds what would make a job refuse to start, before anything is started beside it."""

from __future__ import annotations

from pathlib import Path

from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.config.files import read_config
from pipeline.config.job import PipelineConfig
from pipeline.config.watch import second_look
from pipeline.language.secrets import Secrets
from pipeline.model.process.bounds import bounded


def preflight(config: PipelineConfig, config_dir: Path) -> Snapshot:
    """Return these webhooks, labels and shapes. Raises ConfigError where a job would not start with them."""
    with bounded(root=str(config_dir)):
        return second_look(
            config_dir,
            lambda: compile_config(
                read_config(config_dir, defaults=config.defaults), secrets=Secrets(base=config_dir)
            ),
            lambda report: report.snapshot is not None,
        ).require()
