"""Structured logging: one line per happening, with fields.

    log = get(__name__)
    log.info("listening", port=9090)

INFO: an action finished. WARN: it recovered by itself. ERROR: data was lost or a person is needed.
On a terminal the lines are for people, elsewhere they are JSON. The standard library's logging carries
them, so what libraries log or warn about comes out in the same form. Lines go to stderr.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

from pipeline.model.masking import Masks
from pipeline.model.printable import one_line
from pipeline.model.times import format_iso
from pipeline.telemetry import screen

_NAMES = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warn",
    logging.ERROR: "error",
    logging.CRITICAL: "error",
}
_COLOURS = {"debug": "\x1b[2m", "info": "\x1b[32m", "warn": "\x1b[33m", "error": "\x1b[31m"}
_hidden = Masks()
_masked = _hidden.mask


class Log:
    """The logger of one module. Fields are plain values; never pass a secret (and see `hide`)."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, happening: str, **fields: Any) -> None:
        """Something only a developer wants to see."""
        self._emit(logging.DEBUG, happening, fields)

    def info(self, happening: str, **fields: Any) -> None:
        """An action finished."""
        self._emit(logging.INFO, happening, fields)

    def warning(self, happening: str, **fields: Any) -> None:
        """Something went wrong and was recovered without help."""
        self._emit(logging.WARNING, happening, fields)

    def error(self, happening: str, *, exc_info: BaseException | None = None, **fields: Any) -> None:
        """Data was lost, or a person is needed."""
        self._emit(logging.ERROR, happening, fields, exc_info)

    def _emit(
        self, level: int, happening: str, fields: dict[str, Any], exc_info: BaseException | None = None
    ) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", happening, extra={"fields": fields}, exc_info=exc_info)


def get(name: str) -> Log:
    """Return the logger of a module; pass ``__name__``."""
    return Log(name)


def hide(secret: str, shown: str = "***", of: object = None) -> None:
    """Mask this text in every later line: a net below the rule that no secret is ever logged. of: as in
    `Masks.add`.
    """
    _hidden.add(secret, shown, of)


def _clean(value: Any) -> Any:
    """Return the value with secrets masked, as something JSON can hold."""
    if isinstance(value, str):
        return _masked(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, bytes):
        return _masked(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, dict):
        return {str(key): _clean(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(inner) for inner in value]
    return _masked(str(value))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = {key: _clean(value) for key, value in getattr(record, "fields", {}).items()}
    if record.exc_info and record.exc_info[1] is not None:
        exc = record.exc_info[1]
        fields["error"] = _masked(f"{type(exc).__name__}: {exc}")
        last = traceback.extract_tb(exc.__traceback__)[-1:]
        if last:
            fields["at"] = f"{os.path.basename(last[0].filename)}:{last[0].lineno}"
    return fields


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        line: dict[str, Any] = {
            "time": format_iso(int(record.created * 1000)),
            "level": _NAMES.get(record.levelno, "info"),
            "logger": record.name,
            "message": _masked(record.getMessage()),
        }
        for key, value in _fields(record).items():
            line[f"{key}_" if key in line else key] = value
        if record.exc_info and logging.getLogger().isEnabledFor(logging.DEBUG):
            line["traceback"] = _masked(self.formatException(record.exc_info))
        try:
            return orjson.dumps(line).decode()
        except orjson.JSONEncodeError:  # a lone surrogate or an integer beyond 64 bits in a field
            return json.dumps(line)


class ConsoleFormatter(logging.Formatter):
    """For people: ``12:30:01 info  listening  port=9090``; control characters are escaped."""

    def __init__(self, colour: bool) -> None:
        super().__init__()
        self.colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        level = _NAMES.get(record.levelno, "info")
        tag = f"{level:<5}"
        if self.colour:
            tag = f"{_COLOURS[level]}{tag}\x1b[0m"
        at = f"{datetime.fromtimestamp(record.created, UTC):%H:%M:%S}"
        parts = [f"{at} {tag} {one_line(_masked(record.getMessage()))}"]
        parts += [f"{key}={_shown(value)}" for key, value in _fields(record).items()]
        line = "  ".join(parts)
        if record.exc_info and logging.getLogger().isEnabledFor(logging.DEBUG):
            line += "\n" + _masked(self.formatException(record.exc_info))
        return line


def _shown(value: Any) -> str:
    if isinstance(value, str):
        text = one_line(value)
        return f'"{text}"' if " " in text or not text else text
    if isinstance(value, float):
        return f"{value:g}"
    return one_line(str(value))


class ScreenHandler(logging.Handler):
    """Writes to whatever ``sys.stderr`` is at that moment, above the status line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a broken stderr must not stop a job."""
        try:
            screen.write(self.format(record))
        except (OSError, ValueError):
            pass  # stderr is closed or full: there is nowhere left to report it


def setup(level: str = "info", format: str = "auto", *, stream: TextIO | None = None) -> None:
    """Send all logging to stderr (or ``stream``) in one form; may be called again to change it.

    Levels: debug, info, warning, error. Formats: console, json; auto is console on a terminal, else json.
    """
    handler: logging.Handler = logging.StreamHandler(stream) if stream else ScreenHandler()
    out = stream or sys.stderr
    if format == "console" or (format == "auto" and out.isatty()):
        handler.setFormatter(ConsoleFormatter(colour=screen.has_colours(out)))
    else:
        handler.setFormatter(JsonFormatter())
    handler.set_name("hookline")
    root = logging.getLogger()
    for old in [one for one in root.handlers if one.get_name() == "hookline"]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # `catch_warnings` may have restored the old showwarning without telling `logging`.
    logging.captureWarnings(False)
    logging.captureWarnings(True)
