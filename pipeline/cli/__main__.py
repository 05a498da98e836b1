"""``python -m pipeline.cli``: the same as the command ``hookline``."""

from __future__ import annotations

from pipeline.cli import main

main()
