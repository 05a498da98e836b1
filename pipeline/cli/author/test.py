"""``hookline test``: the tests beside the webhooks."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.options import config_option
from pipeline.cli.output import json_option, print_json, say
from pipeline.model.errors import UsageError
from pipeline.model.exits import Exit


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@config_option
@click.option(
    "--junit", type=click.Path(path_type=Path), help="Also write the results to this file as JUnit XML."
)
@json_option
def test(files: tuple[Path, ...], config: Path, junit: Path | None, as_json: bool) -> int:
    """Run the *.test.yaml files below the config directory, or just FILES.

    Each gives users and events and says which requests must come out. Exit code 1 if one does not hold.
    """
    from pipeline.config.files import NO_DIRECTORY
    from pipeline.operate import cases

    if not config.is_dir():
        raise UsageError(f"{config}: {NO_DIRECTORY}")
    results = cases.run_tests(config, [file.resolve() for file in files] or None)
    if not results:
        raise UsageError(f"{config}: there are no tests (files that end in .test.yaml)")
    if junit is not None:
        junit.write_text(cases.junit(results), encoding="utf-8")
        say(f"{junit} written")
    if as_json:
        names = ("file", "line", "name", "passed", "failures")
        print_json([{name: getattr(one, name) for name in names} for one in results])
    else:
        click.echo(cases.render_results(results))
    return Exit.OK if all(one.passed for one in results) else Exit.PROBLEMS
