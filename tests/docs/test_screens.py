"""The pictures of the terminal are what one command makes, and say nothing of the machine that made them."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import screens

PICTURES = Path(screens.HERE)


def test_the_pictures_are_those_that_the_command_makes():
    assert {path.stem for path in PICTURES.glob("*.svg")} == set(screens.PICTURES)
    for name, make in screens.PICTURES.items():
        if name != "demo":  # tests/docs/test_demo.py runs it
            drawn = screens.svg(name, *make())
            assert drawn == (PICTURES / f"{name}.svg").read_text(), f"{name}: `make pictures` draws it anew"


def test_a_picture_is_small_and_names_no_machine_and_no_host():
    for path in PICTURES.glob("*.svg"):
        text = path.read_text()
        assert len(text) < 30_000, path
        assert socket.gethostname() not in text
        assert re.findall(r"/(?:tmp|home|root|work)\b", text) == [], path
        assert set(re.findall(r"https?://[^\"<&]+", text)) <= {"http://www.w3.org/2000/svg"}, path


def test_the_picture_of_the_demo_shows_what_it_does():
    text = (PICTURES / "demo.svg").read_text().replace("&#160;", " ")
    for line in (
        "big-purchase",
        "1,013",
        "12,000 records read: 10,676 events, 959 updates, 365 links, 0 invalid",
    ):
        assert line in text
