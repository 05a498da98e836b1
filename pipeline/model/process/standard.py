"""Standard input, output and error of a process whose starter has closed them, as some supervisors do."""

from __future__ import annotations

import os
import sys


def open_standard() -> None:
    """Have something in the place of each that is closed.

    Else what is opened next takes its number, and a library that writes to its standard error writes there:
    into a store, say.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free is taken: this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process
