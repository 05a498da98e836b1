"""Which webhooks are not sent to, while a person and a receiver speak at once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pipeline.deliver.halts import Halts
from pipeline.model.errors import Refused


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


def test_a_new_definition_ends_a_410_and_no_other_halt(tmp_path: Path):
    halts = Halts(tmp_path)
    for webhook in ("same", "changed", "removed"):
        halts.gone(webhook, "d1")
    halts.set("paused", "paused")
    halts.set("disabled", "disabled")
    halts.lift({"same": "d1", "changed": "d2", "paused": "d2", "disabled": "d2"})
    left = {"same": "gone", "removed": "gone", "paused": "paused", "disabled": "disabled"}
    assert halts.all() == left
    for webhook, why in (("same", "answered 410"), ("disabled", "is disabled")):
        with pytest.raises(Refused, match=why):
            halts.obey(webhook, "pause")
    halts.obey("same", "enable")
    halts.obey("paused", "resume")
    assert halts.all() == {"removed": "gone", "disabled": "disabled"}
