"""A crash leaves no memory on disk, unless somebody wants it."""

from __future__ import annotations

import json
import os
import sys

import pytest

from tests.kit.programs.run import finished

PROGRAM = """
import json, resource, sys
import pipeline.cli.app
def run():
    filter = open("/proc/self/coredump_filter").read().strip()
    print(json.dumps([resource.getrlimit(resource.RLIMIT_CORE)[0], int(filter, 16)]))
pipeline.cli.app.run = run
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
pipeline.cli.main()
"""


@pytest.mark.parametrize("verb", ["check", "send", "run"])
def test_no_verb_that_reads_secrets_leaves_a_core(verb: str) -> None:
    said, _ = finished(sys.executable, "-c", PROGRAM, verb, env=dict(os.environ))
    assert json.loads(said) == [0, 0]


def test_cores_can_be_allowed() -> None:
    said, _ = finished(sys.executable, "-c", PROGRAM, "run", env={**os.environ, "HOOKLINE_CORE_DUMPS": "1"})
    assert json.loads(said)[1] != 0
