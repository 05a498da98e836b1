"""A config folder while files in it are saved: one at a time, with errors in words."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.model.errors import ConfigError, reason
from pipeline.model.files.disk import remove_own_partials, try_lock
from pipeline.model.findings import Finding
from pipeline.model.process.private import NEVER_FOLLOWED

_STILL_SECS: Final = 10.0
"""How long to wait for somebody else's save."""


def not_editable(file: str, message: str) -> ConfigError:
    """Return the message about a file that must be left as it is."""
    return ConfigError([Finding(file, 0, 0, "not-editable", message)])


@contextlib.contextmanager
def told(file: str) -> Iterator[None]:
    """Report errors of the system in words."""
    try:
        yield
    except FileExistsError:
        raise
    except PermissionError as error:
        message = "it cannot be written, or not with its owner and group"
        raise ConfigError([Finding(file, 0, 0, "not-writable", f"{message}: {reason(error)}")]) from None
    except OSError as error:
        raise ConfigError(
            [Finding(file, 0, 0, "not-writable", f"it cannot be written: {reason(error)}")]
        ) from None
    except ValueError as error:
        raise not_editable(file, str(error)) from None


@contextlib.contextmanager
def locked(folder: Path, file: str) -> Iterator[None]:
    """Hold the folder's lock: other saves wait. Leaves no files behind, and removes those of killed saves."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | NEVER_FOLLOWED)
    try:
        deadline = time.monotonic() + _STILL_SECS
        while not try_lock(descriptor):
            if time.monotonic() > deadline:
                raise not_editable(
                    file, "somebody else has been saving files of its folder for too long: try again"
                )
            time.sleep(0.02)
        remove_own_partials(folder)
        yield
    finally:
        os.close(descriptor)
