"""Every command on a page is run by a test, or the page says why it is not."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from tests.kit.tour import PAGES, ROOT, blocks, parts, run

ELSEWHERE = {
    "demo": "tests/docs/test_demo.py",
    "collect tour": "tests/docs/test_collect_tour.py",
    "tour": "tests/docs/test_tour.py",
    "kafka tour": "tests/kafka/test_kafka_tour.py",
    "nothing fires": "tests/docs/test_troubleshooting.py",
    "first look": "tests/docs/test_runbook.py",
}
"""Parts that need more than a folder with the shipped config: the test that runs each."""

LANGUAGES = {"sh", "yaml", "json", "http", "text", "python", "ini"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_is_run_or_says_why_not(path: Path):
    for block in blocks(path):
        place = f"{block.page}:{block.line}"
        assert block.language in LANGUAGES, f"{place}: name the block's language, for commands `sh`"
        if block.language == "sh":
            assert block.part or block.reason, f"{place}: put it into a part that is run, or say why not"
            assert not (block.part and block.reason), f"{place}: is it run or not?"


def test_parts_that_are_run_elsewhere_are_asked_for_there():
    for name, file in ELSEWHERE.items():
        assert name in parts()
        assert f'script("{name}")' in (ROOT / file).read_text(), file


@pytest.mark.parametrize("name", sorted(parts().keys() - ELSEWHERE.keys()))
def test_the_commands_of_a_page_do_what_they_say(name: str, tmp_path: Path):
    """Runs beside the shipped config and recording; every port of this machine is replaced by a free one."""
    for folder in ("config", "recordings"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    commands = parts()[name]
    changes: dict[str, str] = {}
    for address in set(re.findall(r"127\.0\.0\.1:\d+", commands)):
        with socket.create_server(("127.0.0.1", 0)) as free:
            changes[address] = f"127.0.0.1:{free.getsockname()[1]}"
    done = run(commands, tmp_path, changes)
    assert done.returncode == 0, done.stdout + done.stderr
