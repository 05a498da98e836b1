"""The YAML files of a config, each parsed on first use, and the variables and files they refer to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.config.yaml.document import Document
from pipeline.config.yaml.loader import parse_yaml
from pipeline.language.secrets import SecretRef, origin_refs, refs_in
from pipeline.model.json import Value
from pipeline.model.process.under_way import begins


class Uses(NamedTuple):
    """What one file refers to outside itself."""

    settings: tuple[SecretRef, ...]
    lists: tuple[str, ...]
    """Names of list files, as written."""


class Documents(Mapping[str, Document]):
    """The parsed files of a config by name.

    before: those of an earlier reading; references of files with the same text are reused.
    """

    def __init__(self, texts: Mapping[str, str], before: Documents | None = None) -> None:
        self._texts = texts
        self._parsed: dict[str, Document] = {}
        self._uses: dict[str, Uses] = {}
        if before is not None:
            known = before._uses.items()
            self._uses = {name: uses for name, uses in known if texts.get(name) == before._texts[name]}

    def __getitem__(self, name: str) -> Document:
        found = self._parsed.get(name)
        if found is None:
            text = self._texts[name]
            begins(name)
            found = self._parsed[name] = parse_yaml(text, name)
            # Now, since placeholders are replaced later.
            self._uses[name] = _uses(found) if _may_use(text) else Uses((), ())
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def uses(self, name: str) -> Uses:
        """Return what a file refers to."""
        if name not in self._uses:
            self[name]
        return self._uses[name]


def _may_use(text: str) -> bool:
    """Return False where a look at the text is enough: most files name neither a setting nor a list."""
    return "${" in text or "file" in text or "\\" in text  # an escape may write any of them


def _uses(document: Document) -> Uses:
    if document.root is None:
        return Uses((), ())
    value = document.root.value
    refs = setting_refs(value, is_webhook=document.file.startswith("webhooks/"))
    return Uses(tuple(dict.fromkeys(refs)), tuple(dict.fromkeys(list_names(value))))


def list_candidates(listed: str, file: str) -> list[str]:
    """Return where a list file may be: below the config directory, or beside the file that names it.

    Empty for a name that would leave the config directory.
    """
    path = PurePosixPath(listed)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in listed:
        return []
    return [str(path), str(PurePosixPath(file).parent / path)]


UNREAD: Final[list[str]] = []
"""The entries of a list file that cannot be read: that alone is told, and nothing of such a config runs."""


def read_list(text: str) -> list[str]:
    """Return a list file's entries, one per line; blank lines and those that begin with `# ` are skipped."""
    entries = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
    return [entry for entry in entries if entry and entry != "#" and not entry.startswith("# ")]


_CONDITIONS = frozenset({"where", "$if", "fail_when", "retry_when", "when", "capture"})
"""Keys of a file with conditions below them."""


def list_names(value: Value, *, in_condition: bool = False) -> Iterator[str]:
    """Yield the list files that conditions name: `in: {file: X}`, `in: [a, {file: X}]`, the shorthand."""
    if isinstance(value, dict):
        if in_condition and len(value) == 1 and isinstance(value.get("file"), str):
            yield value["file"]
            return
        for key, inner in value.items():
            if key in ("in", "not_in") and isinstance(inner, dict) and isinstance(inner.get("file"), str):
                yield inner["file"]
            else:
                yield from list_names(inner, in_condition=in_condition or key in _CONDITIONS)
    elif isinstance(value, list):
        for inner in value:
            yield from list_names(inner, in_condition=in_condition)


_SECRET_PLACES = (("request",), ("delivery", "proxy"), ("delivery", "batch", "wrap"), ("description",))
"""Placeholders here are secrets (or prose), resolved when a request is sent."""

SETTING = "setting"
"""``{setting: "${X}"}`` is the value of a plain setting, where a bare placeholder would be a secret."""


def is_setting(path: KeyPath) -> bool:
    """Return whether a placeholder at this place of a webhook file is a plain setting."""
    return not any(path[: len(place)] == place for place in _SECRET_PLACES)


def is_body_condition(path: KeyPath) -> bool:
    """Return whether this place of a webhook file belongs to a condition of its body."""
    return path[:2] == ("request", "body") and "$if" in path


def is_var(path: KeyPath) -> bool:
    """Return whether a placeholder at this place of a webhook file is a secret var."""
    return path[:1] == ("vars",)


def named_setting(value: Value) -> str | None:
    """Return the text of ``{setting: "${X}"}``; None for any other value."""
    if isinstance(value, dict) and len(value) == 1:
        text = value.get(SETTING)
        if isinstance(text, str) and "${" in text:
            return text
    return None


def setting_refs(value: Value, *, is_webhook: bool) -> Iterator[SecretRef]:
    """Yield the placeholders of a file that are plain settings: outside `request`, in its conditions, and in
    its URL's origin.
    """
    if isinstance(value, dict) and is_webhook:
        request = value.get("request")
        if isinstance(request, dict) and isinstance(request.get("url"), str):
            yield from origin_refs(request["url"])
    for path, text, named in _texts(value, ()):
        if "${" not in text:
            continue
        plain = is_setting(path) and (named or not is_var(path))
        if not is_webhook or plain or (named and is_body_condition(path)):
            yield from refs_in(text)  # what cannot be read the compiler reports with its place


def _texts(value: Value, path: KeyPath) -> Iterator[tuple[KeyPath, str, bool]]:
    """Yield each text with its place, and whether it belongs to a ``{setting: ..}``."""
    if isinstance(value, str):
        yield path, value, False
    elif (text := named_setting(value)) is not None:
        yield path, text, True
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, index))
