"""The six checks of "nothing fires" do what the page says, and show what it says that one sees."""

from __future__ import annotations

from pathlib import Path

from tests.kit import tour
from tests.kit.programs.ports import free_port

INIT = "hookline init shop && cd shop"


def test_the_six_checks_lead_to_what_keeps_a_webhook_from_firing(tmp_path: Path):
    here = f"127.0.0.1:{free_port()}"
    changes = {
        INIT: f"{INIT} && sed -i 's/127.0.0.1:8787/{here}/' config/webhooks/*.yaml",
        "127.0.0.1:8787 >": f"{here} >",
    }
    done = tour.run(tour.script("nothing fires"), tmp_path, changes)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("events seen: Purchase, Page Viewed") == 1
    assert "nothing had said it of this user by then" in done.stdout
    assert "big-purchase: fires on Purchase" in done.stdout
    assert done.stdout.count('{"webhook":"big-purchase"') == 2
    assert (tmp_path / "shop" / "arrived.txt").read_text().count("POST /sales -> 200") == 2
