"""Which topics a job has seen recreated, so that whoever reads beside it gives records the same origins."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from pipeline.model.errors import StateError
from pipeline.runtime.state.recovery import read_tokens


def known_lives(state: Path) -> dict[str, tuple[int, str]]:
    """Return per topic its life and id as of the job's last durable epoch; {} without a job's state."""
    from pipeline.job.steps.source import position_of
    from pipeline.sources.topics.stream import places_of

    try:
        tokens = read_tokens(state / "recovery").get("source", {})
    except (sqlite3.Error, StateError):
        # A start reports what is wrong with it.
        return {}
    lives: dict[str, tuple[int, str]] = {}
    for token in tokens.values():
        position = position_of(token)
        if str(position[0]).startswith("kafka"):
            for place in places_of(position[2]).values():
                lives[place.topic] = max((place.life, place.id), lives.get(place.topic, (1, "")))
    return lives
