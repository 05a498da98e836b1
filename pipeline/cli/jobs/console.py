"""``hookline console``: web pages that show and edit the webhooks, until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import config_option, fields_of, log_options, setting, state_option, taken
from pipeline.cli.output import echo, print_json_lines


@click.command()
@config_option
@state_option
@setting("--listen", "console.listen", metavar="ADDRESS", help="PORT or HOST:PORT.")
@setting(
    "--host",
    "console.hosts",
    metavar="NAME",
    multiple=True,
    help="A host name that browsers use; may be given several times.",
)
@setting("--base-path", "console.base_path", metavar="PATH", help="The prefix of every path, e.g. /hookline.")
@setting(
    "--token-file",
    "console.tokens",
    metavar="FILE",
    help="Tokens: a file of lines ROLE NAME SHA256 (of the token).",
)
@setting(
    "--behind-proxy",
    "console.behind_proxy",
    is_flag=True,
    help="A proxy in front of it speaks TLS to browsers.",
)
@setting(
    "--proxy-from",
    "console.proxy.from",
    metavar="CIDR",
    multiple=True,
    help="The proxy's addresses; may be given several times.",
)
@setting(
    "--proxy-user-header",
    "console.proxy.user_header",
    metavar="NAME",
    help="The header in which the proxy names the user.",
)
@setting(
    "--proxy-role-header",
    "console.proxy.role_header",
    metavar="NAME",
    help="The header in which the proxy gives the user's role.",
)
@setting(
    "--proxy-role",
    "console.proxy.role",
    metavar="ROLE",
    help="The role of users without one; viewer by default.",
)
@setting(
    "--read-only",
    "console.read_only",
    is_flag=True,
    help="Allow no changes of files, the job or pending deliveries.",
)
@setting(
    "--hide-payloads",
    "console.hide_payloads",
    is_flag=True,
    help="Hide bodies, properties, samples and user ids from everyone.",
)
@setting(
    "--audit",
    "console.audit",
    metavar="FILE",
    help="The audit log; by default audit.jsonl in the state directory.",
)
@log_options
@click.option("--member", hidden=True, help="Given by `hookline up`.")
def console(config: Path, member: str | None, **given: Any) -> None:
    """Serve the web console until Ctrl-C; prints a link that is valid once, for 15 minutes.

    It stores no data: it edits the YAML files, reads the state directory, and asks the running job. Users and
    their permissions are configured by `console` in pipeline.yaml; flags take precedence.
    """
    from pipeline.config.job import load_pipeline
    from pipeline.console.serving.service import run_console

    report = load_pipeline(config, flags=fields_of(given))
    job_config = taken(report, quiet=member is not None)
    # A supervisor is told the link that is good once in a form of its own.
    tell = echo if member is None else lambda link: print_json_lines([{"link": link}])
    run_console(config, job_config, listening=tell)
