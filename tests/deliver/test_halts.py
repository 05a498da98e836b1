"""Which webhooks are not sent to, while a person and a receiver speak at once."""

from __future__ import annotations

import threading
from pathlib import Path

from pipeline.deliver.halts import Halts


class Interrupted(Halts):
    """A 410 comes right after a person's command has looked."""

    gone_by: threading.Thread | None = None

    def get(self, webhook_id: str):
        found = super().get(webhook_id)
        if self.gone_by is None:
            self.gone_by = threading.Thread(target=self.gone, args=(webhook_id, "d1"))
            self.gone_by.start()
            self.gone_by.join(0.1)  # without the lock it would be over by then
        return found


def test_a_410_that_comes_while_a_pause_is_ended_is_kept(tmp_path: Path):
    halts = Interrupted(tmp_path)
    halts.set("hook", "paused")
    halts.obey("hook", "resume")
    assert halts.gone_by is not None
    halts.gone_by.join()
    assert halts.all() == {"hook": "gone"}
