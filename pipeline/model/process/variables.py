"""The variables that configure a process."""

from __future__ import annotations

import os


def trim_variables() -> None:
    """Cut line ends off the end of each HOOKLINE_* variable, as they are of secrets.

    A Kubernetes secret or a block of YAML ends with one, and nobody means it.
    """
    for name, value in list(os.environ.items()):
        if name.startswith("HOOKLINE_") and value.endswith(("\n", "\r")):
            os.environ[name] = value.rstrip("\r\n")
