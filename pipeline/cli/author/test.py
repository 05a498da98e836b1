"""``hookline test``: the tests beside the webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import click

from pipeline.cli.kinds import Place
from pipeline.cli.options import config_option
from pipeline.cli.output import json_option, print_json, print_text, say
from pipeline.model.errors import UsageError
from pipeline.model.files.disk import write_text
from pipeline.model.process.exits import Exit
from pipeline.model.words import counted

if TYPE_CHECKING:
    from pipeline.operate.trials.cases import CaseResult


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@config_option
@click.option("--junit", type=Place(), help="Also write the results to this file as JUnit XML.")
@json_option
def test(files: tuple[Path, ...], config: Path, junit: Path | None, as_json: bool) -> int:
    """Run the *.test.yaml files below the config directory, or just FILES.

    Each gives users and events and says which requests must come out. Exit code 1 if one does not hold.
    """
    from pipeline.config.files import NO_DIRECTORY
    from pipeline.operate.trials import cases

    if not config.is_dir():
        raise UsageError(f"{config}: {NO_DIRECTORY}")
    results = cases.run_tests(config, [file.resolve() for file in files] or None)
    if not results:
        raise UsageError(f"{config}: there are no tests (files that end in .test.yaml)")
    if junit is not None:
        write_text(junit, as_junit(results))
        say(f"{junit} written")
    if as_json:
        print_json([one.to_json() for one in results])
    else:
        print_text(as_text(results))
    return Exit.OK if all(one.passed for one in results) else Exit.PROBLEMS


def as_text(results: Sequence[CaseResult]) -> str:
    """Return the failed tests with their differences, and a closing line."""
    lines: list[str] = []
    for result in results:
        if not result.passed:
            where = f"{result.file}:{result.line}" if result.line else result.file
            lines.append(f"FAILED {where}: {result.name}")
            lines += [f"  {line}" for failure in result.failures for line in failure.splitlines()]
    failed = sum(not result.passed for result in results)
    passed = len(results) - failed
    files = len({result.file for result in results})
    lines.append(f"{passed} passed, {failed} failed in {counted(files, 'file')}")
    return "\n".join(lines)


def as_junit(results: Sequence[CaseResult]) -> str:
    """Return the results as JUnit XML, for CI."""
    failed = sum(not result.passed for result in results)
    secs = sum(result.secs for result in results)
    counts = {"tests": str(len(results)), "failures": str(failed), "time": f"{secs:.3f}"}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": "hookline", **counts})
    for result in results:
        file, name = _xml(result.file), _xml(result.name)
        place = {"file": file, "line": str(result.line), "time": f"{result.secs:.3f}"}
        case = ElementTree.SubElement(suite, "testcase", {"classname": file, "name": name, **place})
        if not result.passed:
            first = _xml(result.failures[0].splitlines()[0])
            failure = ElementTree.SubElement(case, "failure", {"message": first})
            failure.text = _xml("\n".join(result.failures))
    ElementTree.indent(root)
    return str(ElementTree.tostring(root, "utf-8", xml_declaration=True), "utf-8") + "\n"


def _xml(text: str) -> str:
    """Return a text without what XML cannot hold."""
    return "".join(c if c >= " " or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)
