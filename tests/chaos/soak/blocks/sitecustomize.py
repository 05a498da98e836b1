"""On the path of the processes of a soak: each writes how many blocks of memory its Python objects take.

A count that the allocator keeps anyway, so nothing is slowed down by it, unlike a walk over all objects.
"""

import os
import sys
import threading
import time
from pathlib import Path


def _tell(path: Path, every_secs: float) -> None:
    while True:
        try:
            path.write_text(str(sys.getallocatedblocks()))
        except OSError:
            return  # the soak is over, its folder gone
        time.sleep(every_secs)


if folder := os.environ.get("SOAK_BLOCKS"):
    _told = Path(folder) / str(os.getpid())
    threading.Thread(target=_tell, args=(_told, 2.0), daemon=True).start()
