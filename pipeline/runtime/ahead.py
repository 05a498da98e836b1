"""What a job's start would refuse, found before anything beside it is started."""

from __future__ import annotations

from pathlib import Path

from pipeline.compile.snapshot import compile_config
from pipeline.config.files import read_config
from pipeline.config.job import PipelineConfig
from pipeline.language.secrets import Secrets
from pipeline.model.process.bounds import bounded


def refuse_ahead(config: PipelineConfig, config_dir: Path) -> None:
    """Raise ConfigError where the webhooks and what belongs to them are none that a job starts with."""
    with bounded(root=str(config_dir)):
        compile_config(
            read_config(config_dir, defaults=config.defaults), secrets=Secrets(base=config_dir)
        ).require()
