"""Secrets in pipeline.yaml: which stay placeholders until they are used, and what Kafka clients get."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from pipeline.config.collected import is_collect_secret
from pipeline.config.formats import is_registry_secret, registry_secrets
from pipeline.config.models.installation.job import PipelineFile
from pipeline.config.places import SETTINGS
from pipeline.config.yaml.diagnostics import KeyPath, Problems
from pipeline.config.yaml.placeholders import missing_setting, sound_refs
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
        _known(at, text, secrets, problems)
    for path in SETTINGS:
        holder: object = model
        for name in path[:-1]:
            holder = getattr(holder, str(name), None)
        settings = getattr(holder, "settings", None) or {}
        expanded = dict(settings)
        for name, value in settings.items():
            if isinstance(value, str) and _known((*path, name), value, secrets, problems):
                expanded[name] = secrets.expand(value)
        if expanded != settings:
            model = replaced(model, path, expanded)
    return model


def _known(path: KeyPath, text: str, secrets: Secrets, problems: Problems) -> bool:
    """Return whether all secrets in a text are known; missing ones are reported."""
    if "${" not in text:
        return False
    refs = sound_refs(path, text, problems)
    if refs is None:
        return False
    missing = next((ref for ref in refs if not secrets.known(ref)), None)
    if missing is not None:
        problems.found.append(missing_setting(path, missing, text))
    return missing is None


def replaced(section: M, path: KeyPath, value: object) -> M:
    """Return a section of the config with another value at a path."""
    name, *rest = path
    inner = replaced(getattr(section, str(name)), tuple(rest), value) if rest else value
    return section.model_copy(update={str(name): inner})
