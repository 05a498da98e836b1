"""The keys of a body's maps: which are directives, and which are probably mistakes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from pipeline.model.words import did_you_mean
from pipeline.render.templates.spot import Spot
from pipeline.render.templates.template import mentions_secrets

DIRECTIVES: Final = ("$if", "$then", "$else", "$for", "$do", "$spread")
_OTHER_NAMES: Final = {
    "$merge": "$spread",
    "$foreach": "$for",
    "$each": "$for",
    "$when": "$if",
    "$elif": "$else",
    "$elsif": "$else",
    "$elseif": "$else",
}


def literal_key(key: str) -> str:
    """Return the key that is sent: ``$$if`` is a literal ``$if``."""
    return key[1:] if key.startswith("$$") else key


def check_key(key: object, spot: Spot) -> None:
    """Report a key that no body can have, and warn of one that resembles a directive."""
    if not isinstance(key, str):
        spot.at(str(key)).error("body-key", f"the key {key} is no text", hint="quote it", on_key=True)
        return
    if "{{" in key or "{%" in key:
        hint = "use `$spread` with the filter `merge` or `pick`"
        spot.at(key).error("template-in-key", "a key cannot be a template", hint=hint, on_key=True)
    elif mentions_secrets(key):
        message = "a key is sent as it is written: settings and secrets stand in values"
        spot.problems.refuse((*spot.path, key), "template-in-key", message, hint="write it out", on_key=True)
    elif key.startswith("$") and not key.startswith("$$") and key not in DIRECTIVES:
        close = _OTHER_NAMES.get(key.lower()) or next(
            (name for name in DIRECTIVES if sorted(name) == sorted(key.lower())), None
        )
        close = close or did_you_mean(key, DIRECTIVES, likeness=0.75)
        if close:
            _warn(key, f"did you mean `{close}`? (`${key}` says that it is meant literally)", spot)


def warn_bare(keys: Collection[str], bare: tuple[str, ...], spot: Spot) -> None:
    """Warn of directives without their sign (`then`, `do`) in a map that holds nothing else."""
    if keys and all(key in bare for key in keys):
        for key in keys:
            _warn(key, f"did you mean `${key}`?", spot)


def _warn(key: str, hint: str, spot: Spot) -> None:
    message, place = f"`{key}` is sent as an ordinary key", (*spot.path, key)
    spot.problems.warn(place, "unknown-directive", message, hint=hint, on_key=True)
