"""What the files of a config hold that is not for everybody: secrets that are written out, and the places at
which a request shows a property.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.config.files import config_files, is_webhook
from pipeline.config.yaml.loader import decode_text, parse_yaml
from pipeline.model.files.plain_file import Sign, read_plain, sign_of
from pipeline.model.json import Value, leaves, with_leaves
from pipeline.model.masking import Masks
from pipeline.operate.files.literals import HIDDEN, literal_values

FRESH_SECS: Final = 2.0
_ANY: Final = frozenset({"url", "headers", "body"})
"""For a webhook whose file is gone."""


@dataclass(slots=True, frozen=True)
class _Said:
    sign: Sign
    secrets: frozenset[str]
    webhook: str | None
    shows: frozenset[str]


class Written:
    """Scans the files, each again when it has changed. Thread-safe.

    names: of properties, in lower case.
    """

    def __init__(self, config: Path, names: Collection[str] = ()) -> None:
        self._config = config
        wanted = "|".join(re.escape(name) for name in names)
        self._mentions = re.compile(rf"(?<![\w-])(?:{wanted})(?![\w-])", re.IGNORECASE) if wanted else None
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._known: dict[str, _Said] = {}
        self._masks: Masks | None = None
        self._shows: dict[str, frozenset[str]] = {}

    def look(self) -> None:
        """Take in changes on disk; does nothing shortly after the last look."""
        with self._lock:
            if time.monotonic() - self._looked < FRESH_SECS:
                return
            before = self._known
            self._known = dict(self._read())
            if self._known != before:
                masks = Masks()
                for value in {value for one in self._known.values() for value in one.secrets}:
                    masks.add(value, HIDDEN)
                self._masks = masks
                files = self._known.items()
                bases = frozenset[str]().union(*(one.shows for name, one in files if not is_webhook(name)))
                self._shows = {one.webhook: one.shows | bases for _, one in files if one.webhook}
            self._looked = time.monotonic()

    def hidden(self, value: Value) -> Value:
        """Return data without the secrets, which are found by value: mainly in stored requests."""
        masks = self._masks
        if masks is None:
            return value
        return with_leaves(value, lambda one: masks.mask(one) if isinstance(one, str) else one)

    def shows(self, webhook: str) -> frozenset[str]:
        """Return under which lower-case names a webhook's request shows one of the properties: body keys,
        headers; ``url``, ``body`` where it stands in those directly.
        """
        return frozenset() if self._mentions is None else self._shows.get(webhook, _ANY)

    def _read(self) -> Iterator[tuple[str, _Said]]:
        for name in config_files(self._config):
            path = self._config / name
            try:
                sign = sign_of(path.stat())
                known = self._known.get(name)
                if known is None or known.sign != sign:
                    document = parse_yaml(decode_text(read_plain(path)), name)
                    said = document.fields
                    id = said.get("id") if is_webhook(name) else None
                    shows = frozenset(self._places(said))
                    known = _Said(sign, literal_values(document), str(id) if id else None, shows)
            except (OSError, ValueError):
                continue
            yield name, known

    def _places(self, data: dict[str, Value]) -> Iterator[str]:
        if self._mentions is None:
            return
        request = data.get("request")
        for key, inner in request.items() if isinstance(request, dict) else ():
            for path, text in leaves(inner, (str(key),)):
                if isinstance(text, str) and self._mentions.search(text):
                    # The innermost name on the way to it that also occurs in a request.
                    named = (one for one in reversed(path) if isinstance(one, str) and one[:1] != "$")
                    last = next(named, str(key))
                    yield "url" if key == "query" else last.casefold()
