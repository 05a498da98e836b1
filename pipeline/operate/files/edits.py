"""Changes config files: only if nobody else changed them meanwhile, and only if the result is valid.

A file is named by its path in the config directory, ``webhooks/crm.yaml``; its tag is a hash of its content.
A save must present the tag that was read, keeps mode and owner, and must not break anything in the whole
config.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff
from hashlib import blake2b
from pathlib import Path
from typing import Final, Protocol

from pipeline.compile.snapshot import Report
from pipeline.config.files import FOLDERS, NOTHING, is_webhook, is_yaml, read_config
from pipeline.config.models.field_types import ID_LENGTH, is_id
from pipeline.config.yaml.loader import MAX_FILE_BYTES, UTF_16, decode_text, parse_yaml
from pipeline.model.errors import ConfigError
from pipeline.model.files.disk import create_durably, remove_durably, replace_durably
from pipeline.model.files.plain_file import read_plain
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.model.words import no_webhook
from pipeline.operate.check import check
from pipeline.operate.files.folder import locked, not_editable, told

_SIGN: Final = r"/\0-\x1f\x7f\ud800-\udfff"
_NAME = re.compile(rf"({'|'.join(FOLDERS)})/[^.{_SIGN}][^{_SIGN}]*\.ya?ml")
_NAME_BYTES: Final = 220
"""File systems allow 255, and the temporary file's name is longer."""


class Checker(Protocol):
    """Checks a config: `check`, or the same in another process."""

    def __call__(self, config: Path, /, *, offline: bool, unsaved: Mapping[str, str | None]) -> Report:
        """Return what is wrong. Raises ConfigError where there is no config directory."""


class Changed(ConfigError):
    """A file differs from what was read, already exists, or is gone: nothing was written."""


@dataclass(slots=True, frozen=True)
class FileText:
    """A file of the config as it is on disk."""

    file: str
    text: str
    """Including byte order mark and line ends."""
    etag: str
    data: Value
    """Its data; None where it cannot be parsed."""
    findings: tuple[Finding, ...]
    """YAML errors."""
    read_as: str = ""
    """The encoding assumed where the file is not UTF-8: a person has to check it."""


@dataclass(slots=True, frozen=True)
class Saved:
    """The result of a change of a file, or of its dry run."""

    file: str
    etag: str
    """Of the new content; "" where the file is gone."""
    diff: str
    """As ``diff -u`` shows it; "" where nothing changed."""
    findings: tuple[Finding, ...]
    """Warnings about the file as it is now, and errors that the config already had."""
    written: bool

    def to_json(self) -> dict[str, Value]:
        """Return the fields."""
        return {
            "file": self.file,
            "etag": self.etag,
            "diff": self.diff,
            "findings": [finding.to_json() for finding in self.findings],
            "written": self.written,
        }


def file_of(config: Path, webhook_id: str) -> str:
    """Return the name of the file that defines a webhook. Raises ConfigError where there is none."""
    known: dict[str, str] = {}
    for name, document in read_config(config).documents.items():
        if is_webhook(name) and document.fields:
            known.setdefault(str(document.fields.get("id")), name)
    if webhook_id not in known:
        raise ConfigError(no_webhook(webhook_id, known))
    return known[webhook_id]


def read(config: Path, file: str, *, guess: bool = False) -> FileText:
    """Return a file of the config. Raises ConfigError, Changed where it does not exist.

    guess: decode a file that is not UTF-8 by its most likely encoding. It is saved as UTF-8.
    """
    return _file_text(file, _content(_place(config, file), file), guess=guess)


def save(
    config: Path,
    file: str,
    text: str,
    etag: str,
    *,
    offline: bool = False,
    dry_run: bool = False,
    checker: Checker | None = None,
) -> Saved:
    """Write a file that was read under this tag, if that adds no errors to the config.

    offline: secrets and settings are not looked up. dry_run: nothing is written. checker: replaces `check`.
    Raises Changed where the file has changed since, and ConfigError with the new errors; nothing is written
    then.
    """
    path = _place(config, file)
    data = _encoded(file, text)
    with locked(path.parent, file):
        before = _content(path, file)
        _require(before, etag, file)
        if data == before:
            return Saved(file, etag, "", (), False)
        findings = _checked(config, {file: text}, offline, checker)
        if not dry_run:
            like = _stat(path, file)
            _require(_content(path, file), etag, file)  # a check takes time, and editors ignore our lock
            with told(file):
                replace_durably(path, data, like=like)
    return Saved(file, _tag(data), _diff(file, before, data), findings, not dry_run)


def create(
    config: Path,
    webhook_id: str,
    text: str,
    *,
    dry_run: bool = False,
    checker: Checker | None = None,
) -> Saved:
    """Write the file of a new webhook, named after its id.

    Raises Changed where there is one of that name, and ConfigError with what would be wrong.
    """
    if not is_id(webhook_id):
        raise ConfigError(no_id(webhook_id))
    file = new_file(webhook_id)
    path = _place(config, file)
    data = _encoded(file, text)
    with locked(path.parent, file):
        if path.exists() or path.is_symlink() or path.with_suffix(".yml").exists():
            raise _there_already(file)
        findings = _checked(config, {file: text}, False, checker)
        if not dry_run:
            try:
                with told(file):
                    create_durably(path, data)
            except FileExistsError:
                raise _there_already(file) from None
    return Saved(file, _tag(data), _diff(file, b"", data), findings, not dry_run)


def remove(
    config: Path,
    file: str,
    etag: str,
    *,
    dry_run: bool = False,
    checker: Checker | None = None,
) -> Saved:
    """Delete a file that was read under this tag. Raises as `save` does."""
    path = _place(config, file)
    with locked(path.parent, file):
        before = _content(path, file)
        _require(before, etag, file)
        findings = _checked(config, {file: None}, False, checker)
        if not dry_run:
            _require(_content(path, file), etag, file)
            with told(file):
                remove_durably(path)
    return Saved(file, "", _diff(file, before, b""), findings, not dry_run)


def no_id(text: str) -> str:
    """Return the message for a text that cannot be a webhook's id."""
    wish = f"want up to {ID_LENGTH} letters (a-z, A-Z), digits, -, . and _, e.g. big-purchase"
    return f"`{text}` cannot be an id: {wish}"


def new_file(webhook_id: str) -> str:
    """Return a new webhook's file: named after the id, but neither hidden, nor a base, nor a test."""
    bare = re.sub(r"[^A-Za-z0-9._-]", "", webhook_id)[:ID_LENGTH].lstrip("._-")
    return f"webhooks/{re.sub(r'[.]test$', '-test', bare) or 'new-webhook'}.yaml"


def require_editable(file: str) -> None:
    """Raise ConfigError where a name is not that of a file that can be edited."""
    is_name = _NAME.fullmatch(file) is not None and len(file.partition("/")[2].encode()) <= _NAME_BYTES
    if not is_name or not is_yaml(file):
        folders = ", ".join(f"{folder}/" for folder in FOLDERS)
        raise ConfigError(f"`{file}` is no file that can be edited: want a .yaml file in {folders}")


def _place(config: Path, file: str) -> Path:
    """Return a file's path, in a real folder of the config. Raises ConfigError."""
    require_editable(file)
    folder = config / file.partition("/")[0]
    if folder.is_symlink():
        raise not_editable(
            file, f"its folder is a symbolic link to {os.readlink(folder)}: edit the files there"
        )
    if not folder.is_dir():
        raise not_editable(file, f"there is no folder {folder}")
    return config / file


def _content(path: Path, file: str) -> bytes:
    _stat(path, file)
    with told(file):
        return read_plain(path)


def _stat(path: Path, file: str) -> os.stat_result:
    """Return the file's status. Raises Changed where it is gone, ConfigError where it is not a plain file."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        raise Changed(
            [Finding(file, 0, 0, "no-file", "there is no such file", "it may have been deleted")]
        ) from None
    if stat.S_ISLNK(found.st_mode):
        raise not_editable(file, f"it is a symbolic link to {os.readlink(path)}: edit the file there")
    if not stat.S_ISREG(found.st_mode):
        raise not_editable(file, "it is no plain file")
    return found


def _file_text(file: str, raw: bytes, *, guess: bool) -> FileText:
    read_as = ""
    try:
        decode_text(raw)
    except ValueError as error:
        if not guess:
            raise not_editable(file, str(error)) from None
        read_as = "UTF-16" if raw[:2] in UTF_16 else "Windows-1252"
    text = raw.decode(read_as or "utf-8", "strict" if not read_as else "replace")
    document = parse_yaml(text, file)
    return FileText(file, text, _tag(raw), document.data, tuple(document.findings), read_as)


def _encoded(file: str, text: str) -> bytes:
    if len(text) > MAX_FILE_BYTES:
        raise not_editable(file, f"a config file may hold {MAX_FILE_BYTES:,} characters")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise not_editable(file, "it holds half a character (a lone surrogate)") from None


def tag_of(text: str) -> str:
    """Return the tag of a file with this content."""
    return _tag(text.encode("utf-8", "surrogatepass"))


def _tag(raw: bytes) -> str:
    return blake2b(raw, digest_size=16).hexdigest()


def _require(raw: bytes, etag: str, file: str) -> None:
    if _tag(raw) != etag:
        message = "somebody has changed it since it was read: nothing was written"
        raise Changed(
            [Finding(file, 0, 0, "changed-meanwhile", message, "read it anew, and make the change again")]
        )


def _there_already(file: str) -> Changed:
    return Changed(
        [Finding(file, 0, 0, "file-exists", "there is a file of this name already", "choose another id")]
    )


def _checked(
    config: Path, unsaved: Mapping[str, str | None], offline: bool, checker: Checker | None
) -> tuple[Finding, ...]:
    """Return the findings for the config with these files. Raises ConfigError with new errors.

    An existing error is no obstacle: it may be the next one to be fixed.
    """
    checker = checker or check
    after = checker(config, offline=offline, unsaved=unsaved)
    if any(not found.warning for found in after.findings):
        known = _errors(checker(config, offline=offline, unsaved=NOTHING).findings)
        errors = _errors(after.findings)
        new = [
            found
            for found in after.findings
            if errors[_kind(found)] > known[_kind(found)] and not found.warning
        ]
        if new:
            raise ConfigError(new, root=str(config))
    return tuple(found for found in after.findings if not found.warning or found.file in unsaved)


def _errors(findings: list[Finding]) -> Counter[tuple[str, str, str]]:
    return Counter(_kind(found) for found in findings if not found.warning)


def _kind(finding: Finding) -> tuple[str, str, str]:
    """The part of a finding that does not change when lines move."""
    return finding.file, finding.code, finding.message


def _diff(file: str, before: bytes, after: bytes) -> str:
    old, new = (_lines(raw) for raw in (before, after))
    gone = f"a/{file}" if before else "/dev/null"
    return "".join(unified_diff(old, new, gone, f"b/{file}" if after else "/dev/null"))


def _lines(raw: bytes) -> list[str]:
    lines = re.findall("[^\n]*\n|[^\n]+$", raw.decode(errors="replace"))
    return [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines]
