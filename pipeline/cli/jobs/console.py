"""``hookline console``: web pages that show and edit the webhooks, until Ctrl-C."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.options import config_option, log_options, state_option
from pipeline.cli.output import echo


@click.command()
@config_option
@state_option
@click.option(
    "--listen",
    metavar="ADDRESS",
    default="127.0.0.1:8780",
    envvar="HOOKLINE_CONSOLE_LISTEN",
    show_envvar=True,
    help="PORT or HOST:PORT.",
)
@click.option("--read-only", is_flag=True, help="Nobody may change files, the job or what waits.")
@log_options
def console(
    config: Path,
    state: Path | None,
    listen: str,
    read_only: bool,
    log_level: str | None,
    log_format: str | None,
) -> None:
    """Serve the pages of the console until Ctrl-C; prints a link that is good once.

    It holds no data: it edits the YAML files, reads the state directory, and asks the running job.
    """
    from pipeline.admin.service import parse_address
    from pipeline.config.job import load_pipeline
    from pipeline.console.context import Options
    from pipeline.console.service import run_console
    from pipeline.telemetry import log

    flags = {"state": None if state is None else str(state), "log.level": log_level, "log.format": log_format}
    job_config = load_pipeline(config, flags=flags).require()
    log.setup(job_config.file.log.level, job_config.file.log.format)
    host, port = parse_address(listen, "--listen")
    options = Options(config, job_config.state, host, port, read_only=read_only)
    run_console(options, listening=echo)
