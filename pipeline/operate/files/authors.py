"""What console users may write in webhooks: less than those who edit the files by hand.

They may use only the secrets that the job's owner lists, each only with its listed hosts, and may not name
files. What the owner has written may stay, as long as it goes where it went before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from pipeline.config.documents import Documents, is_setting, is_var, named_setting
from pipeline.config.edit.values import value_at
from pipeline.config.files import config_files, is_webhook, is_yaml, read_files
from pipeline.config.yaml.diagnostics import KeyPath, Problem, Problems
from pipeline.config.yaml.document import Node
from pipeline.config.yaml.extends import resolve_base
from pipeline.config.yaml.locating import place
from pipeline.language.hosts import HostError, to_ascii
from pipeline.language.secrets import PlaceholderError, SecretRef, origin_end, parse_placeholders
from pipeline.model.findings import Finding, in_order
from pipeline.model.json import Value

_BASES: Final = "webhooks/_"
_FILES: Final[tuple[KeyPath, ...]] = (
    ("request", "ca"),
    ("request", "auth", "mtls", "cert"),
    ("request", "auth", "mtls", "key"),
)
"""Fields that name a file on this machine."""
_URLS: Final[tuple[KeyPath, ...]] = (
    ("request", "url"),
    ("request", "auth", "oauth2", "token_url"),
    ("delivery", "proxy"),
)
"""Fields that hold a destination."""


Offered: TypeAlias = Mapping[str, Sequence[str]] | None
"""The secrets that console users may use, with the hosts that each may go to; None: all, to every host."""


def overstepped(
    config: Path, unsaved: Mapping[str, str | None], offered: Offered, *, sending: bool = False
) -> list[Finding]:
    """Return what may not be written, or sent, from the console: errors at their places.

    unsaved: texts to be saved or sent, by file; None: the file is to be deleted. sending: it is to be sent by
    hand now, so an unlisted secret is refused even where the owner wrote it.
    """
    names = [name for name, text in unsaved.items() if text is not None and is_yaml(name)]
    if not names:
        return []
    known = set(config_files(config))
    if any(name.startswith(_BASES) for name in unsaved):
        wanted = known | set(names)  # another file extends it now
    else:
        wanted = {name for name in known if name.startswith(_BASES)} | set(names)
    after = read_files(config, sorted(wanted), environ={}, unsaved=unsaved).documents
    before = read_files(config, sorted(wanted & known), environ={}).documents
    found: list[Finding] = []
    for name in sorted(wanted):
        if name in after and not name.startswith(_BASES):
            found += _of_file(name, after, before, offered, sending=sending)
    return in_order(found)


def unreadable(config: Path, file: str, text: str, *, settings: bool) -> list[Finding]:
    """Return which placeholders of an unsaved text must not be looked up for this user, as errors at their
    places.

    The result of evaluating the text would show the values of those that are resolved at load; values that
    the file or a base on disk already shows are known. settings: the user may write any variable there, and
    so see it; and may learn whether other files of the machine exist.
    """
    known = {name for name in config_files(config) if name == file or name.startswith(_BASES)}
    after = read_files(config, [file], environ={}, unsaved={file: text}).documents
    root = None if (document := after.get(file)) is None else document.root
    if root is None:
        return []
    before = read_files(config, sorted(known), environ={}).documents
    plain = {*after.uses(file).settings} - {ref for name in before for ref in before.uses(name).settings}
    if settings:
        refused = {ref for ref in plain if ref.file is not None}
    else:
        refused = plain | (_files_of(after, [file]) - _files_of(before, known))
    problems = Problems()
    old = before[file].root if file in before else None
    paths = {} if old is None else dict(_texts(old.value, ()))
    for path, one in _texts(root.value, ()):
        if path in _FILES and paths.get(path) != one and not settings:
            problems.found.append(_no_file(path))
        problems.found += [
            Problem(
                path,
                *(_in_plain(ref) if ref.file is None else _reads_no_file(ref)),
                offset=offset,
                length=len(ref.source) + 3,
            )
            for offset, ref in _refs(one)
            if ref in refused
        ]
    return in_order([place(root.document, problem, root) for problem in problems.found])


def _files_of(documents: Documents, names: Iterable[str]) -> set[SecretRef]:
    roots = [document.root for name in names if (document := documents.get(name)) is not None]
    texts = [text for root in roots if root is not None for _, text in _texts(root.value, ())]
    return {ref for text in texts for _, ref in _refs(text) if ref.file is not None}


def _no_file(path: KeyPath) -> Problem:
    message = f"`{path[-1]}` names a file of the machine: the console changes none"
    return Problem(path, "file-not-offered", message, "who has the files writes it there")


def _reads_no_file(ref: SecretRef) -> tuple[str, str, str]:
    hint = "use a secret by its name, `${NAME}`; who has the files may write this"
    return "file-not-offered", f"{ref}: the console reads no files", hint


def _not_offered(ref: SecretRef) -> tuple[str, str, str]:
    hint = f"pipeline.yaml lists it with its hosts: `console: {{secrets: {{{ref.key}: [HOST]}}}}`"
    return "secret-not-offered", f"the secret {ref} is not offered in the console", hint


def _in_plain(ref: SecretRef) -> tuple[str, str, str]:
    message = f"here {ref} would be a plain setting, which is shown and stored"
    hint = "secrets stand in a header, the body, the query or the path of `request`"
    return "secret-in-plain", message, hint


def _of_file(
    name: str, after: Documents, before: Documents, offered: Offered, *, sending: bool
) -> Iterator[Finding]:
    root = _resolved(name, after)
    if root is None:
        return  # it cannot be parsed, and is refused for that
    old = _resolved(name, before)
    was = {} if old is None else dict(_texts(old.value, ()))
    now = dict(_texts(root.value, ()))
    hosts, moved = _hosts(now), any(_origin(now.get(path)) != _origin(was.get(path)) for path in _URLS)
    problems = Problems()
    for path, text in now.items():
        is_kept = was.get(path) == text and not moved
        if path in _FILES:
            if was.get(path) != text:
                problems.found.append(_no_file(path))
        elif path[:1] != ("description",) and "${" in text:
            problems.found += _of_text(
                name, path, text, root, hosts, offered, is_kept=is_kept, sending=sending
            )
    for problem in problems.found:
        yield place(root.document, problem, root)


def _of_text(
    name: str,
    path: KeyPath,
    text: str,
    root: Node,
    hosts: Sequence[str],
    offered: Offered,
    *,
    is_kept: bool,
    sending: bool,
) -> Iterator[Problem]:
    for offset, ref in _refs(text):
        told: tuple[str, str, str] | None = None
        if ref.file is not None:
            told = None if is_kept else _reads_no_file(ref)
        elif offered is not None:
            listed = offered.get(ref.key)
            if listed is None:
                if sending or not is_kept:
                    told = _not_offered(ref)
            elif _is_plain(name, path, offset, text, root):
                told = None if is_kept else _in_plain(ref)
            elif stranger := next((host for host in hosts if host not in listed), None):
                told = (
                    "secret-elsewhere",
                    f"the secret {ref} may go to {', '.join(listed)}, and not to {stranger}",
                    "pipeline.yaml says where it may go: `console.secrets`",
                )
        if told is not None:
            code, message, hint = told
            yield Problem(path, code, message, hint, offset=offset, length=len(ref.source) + 3)


def _is_plain(name: str, path: KeyPath, offset: int, text: str, root: Node) -> bool:
    """Return whether a placeholder at this place is resolved at load, and so visible to many."""
    if not name.startswith("webhooks/"):
        return True
    if path in _URLS[:1]:
        return offset < origin_end(text)
    if path[-1:] == ("setting",) and named_setting(value_at(root.value, path[:-1])) is not None:
        return True
    return is_setting(path) and not is_var(path)


def _resolved(name: str, documents: Documents) -> Node | None:
    document = documents.get(name)
    if document is None or document.root is None:
        return None
    return resolve_base(document, documents, [])[0] if is_webhook(name) else document.root


def _texts(value: Value, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Yield every text, keys of maps too: placeholders in keys are sent as well."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, index))
    elif isinstance(value, dict):
        for key, inner in value.items():
            if "${" in str(key):
                yield (*path, str(key), ""), str(key)
            yield from _texts(inner, (*path, str(key)))


def _refs(text: str) -> Iterator[tuple[int, SecretRef]]:
    """Yield the placeholders with their places; none for a text that cannot be parsed: a check says so."""
    try:
        parts = parse_placeholders(text)
    except PlaceholderError:
        return
    at = 0
    for part in parts:
        if isinstance(part, SecretRef):
            found = text.find("${" + part.source + "}", at)
            at = max(found, at)
            yield at, part


def _origin(url: str | None) -> str | None:
    return None if url is None else url[: origin_end(url)]


def _hosts(texts: Mapping[KeyPath, str]) -> list[str]:
    """Return every host that receives data; one given by a placeholder is returned as written."""
    found = []
    for path in _URLS:
        url = texts.get(path)
        if url is None:
            continue
        origin = url[: origin_end(url)]
        try:
            host = to_ascii(urlsplit(origin).hostname or "").removesuffix(".")
        except (ValueError, HostError):
            host = ""
        found.append(host if host and "$" not in origin.rpartition("@")[2] else origin[:100] or "nowhere")
    return found
