"""The tests: one folder for most rooms of the code, and what they share in `kit`."""

import os
import sys

# Bytecode is kept, also where PYTHONDONTWRITEBYTECODE is set: hundreds of processes would compile anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
