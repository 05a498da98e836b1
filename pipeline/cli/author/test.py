"""``hookline test``: the tests beside the webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

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
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites tests="{len(results)}" failures="{failed}" time="{secs:.3f}">',
        f'  <testsuite name="hookline" tests="{len(results)}" failures="{failed}" time="{secs:.3f}">',
    ]
    for result in results:
        head = (
            f"    <testcase classname={_attribute(result.file)} name={_attribute(result.name)} "
            f'file={_attribute(result.file)} line="{result.line}" time="{result.secs:.3f}"'
        )
        if result.passed:
            lines.append(f"{head}/>")
        else:
            text = "\n".join(result.failures)
            first = result.failures[0].splitlines()[0]
            lines.append(
                f"{head}><failure message={_attribute(first)}>{escape(_xml(text))}</failure></testcase>"
            )
    return "\n".join([*lines, "  </testsuite>", "</testsuites>"]) + "\n"


def _attribute(text: str) -> str:
    return quoteattr(_xml(text))


def _xml(text: str) -> str:
    """Return a text without what XML cannot hold."""
    return "".join(c if c >= " " or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)
