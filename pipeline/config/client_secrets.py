"""Secrets in pipeline.yaml: which stay placeholders until they are used, and what Kafka clients get."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from pipeline.config.collected import is_collect_secret
from pipeline.config.formats import is_registry_secret, registry_secrets
from pipeline.config.models.installation.job import PipelineFile
from pipeline.config.places import SETTINGS
from pipeline.config.yaml.diagnostics import KeyPath, Problems
from pipeline.config.yaml.placeholders import expanded
from pipeline.language.secrets import Secrets

_RECEIVERS: tuple[KeyPath, ...] = (("delivery", "proxy"), ("delivery", "batch", "wrap"))

M = TypeVar("M", bound=BaseModel)


def is_secret(path: KeyPath) -> bool:
    """Return whether placeholders at this place of pipeline.yaml are only resolved where they are used."""
    if is_registry_secret(path) or is_collect_secret(path):
        return True
    return any(path[: len(place)] == place for place in (*_RECEIVERS, *SETTINGS))


def with_secrets(model: PipelineFile, secrets: Secrets, problems: Problems) -> PipelineFile:
    """Return the file's data with the secrets of Kafka's clients resolved.

    Those of `delivery` stay placeholders: they are resolved when a request is sent.
    """
    for at, text in registry_secrets(model.model_dump(include={"source"})):
        expanded(at, text, secrets, problems)  # reported only: they are resolved where a registry is asked
    for path in SETTINGS:
        holder: object = model
        for name in path[:-1]:
            holder = getattr(holder, str(name), None)
        settings = getattr(holder, "settings", None) or {}
        known = {
            name: expanded((*path, name), value, secrets, problems) if isinstance(value, str) else value
            for name, value in settings.items()
        }
        if known != settings:
            model = replaced(
                model, path, settings | {name: one for name, one in known.items() if one is not None}
            )
    return model


def replaced(section: M, path: KeyPath, value: object) -> M:
    """Return a section of the config with another value at a path."""
    name, *rest = path
    inner = replaced(getattr(section, str(name)), tuple(rest), value) if rest else value
    return section.model_copy(update={str(name): inner})
