"""What a job may have that the product does not give it: other module constants, other source partitions.

Nothing in the product knows of this.
"""

from __future__ import annotations

import importlib
import resource
from collections.abc import Mapping
from typing import Any

from pipeline.config.job import PipelineConfig
from pipeline.job.steps import history
from pipeline.sources.files.recording import Recording
from pipeline.sources.reader import Reader


class Partitions:
    """A source of several partitions, as topics are, out of files."""

    def __init__(self, files: dict[str, str], follow: bool) -> None:
        self.files = files
        self.follow = follow

    def list_partitions(self) -> list[str]:
        return list(self.files)

    def open(self, name: str, position: Any) -> Reader:
        return Recording([self.files[name]], follow=self.follow, name=name, resume=position)


def alter(values: Mapping[str, object]) -> None:
    """Set module constants, by ``module:NAME``."""
    for place, value in values.items():
        module, _, name = place.partition(":")
        holder = importlib.import_module(module)
        assert hasattr(holder, name), place
        setattr(holder, name, value)


def use_partitions(files: dict[str, str]) -> None:
    """Let every job of this process read these; each is one growing or finished file."""
    holder: Any = importlib.import_module("pipeline.runtime.parts")

    def make(config: PipelineConfig, *_more: Any, **_named: Any) -> Partitions:
        return Partitions(files, bool(getattr(config.source, "follow", False)))

    holder.make_readers = make


def limit_address_space(size: int) -> None:
    """Let this process have so many bytes of addresses, as ``ulimit -v`` does."""
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def boot(number: int) -> None:
    """Let this process believe that the machine was started anew: after a power cut it was."""
    vars(history)["boot_id"] = lambda: number.to_bytes(16, "big")


def break_(place: str) -> None:
    """Let a function, ``module:NAME``, raise whatever it is given."""

    def broken(*_: Any, **__: Any) -> Any:
        raise ValueError("it is broken")

    alter({place: broken})
