"""``hookline console``: web pages that show and edit the webhooks, until Ctrl-C."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import config_option, log_options, setting, state_option, taken
from pipeline.cli.output import echo, print_json_lines

_FLAGS = {
    "listen": "listen",
    "host": "hosts",
    "base_path": "base_path",
    "token_file": "tokens",
    "behind_proxy": "behind_proxy",
    "proxy_from": "proxy.from",
    "proxy_user_header": "proxy.user_header",
    "proxy_role_header": "proxy.role_header",
    "proxy_role": "proxy.role",
    "read_only": "read_only",
    "hide_payloads": "hide_payloads",
    "audit": "audit",
}
"""Flags by the field of `console` that each overrides."""


@click.command()
@config_option
@state_option
@setting("--listen", env="HOOKLINE_CONSOLE_LISTEN", metavar="ADDRESS", help="PORT or HOST:PORT.")
@setting(
    "--host",
    env="HOOKLINE_CONSOLE_HOSTS",
    metavar="NAME",
    multiple=True,
    help="A host name that browsers use; may be given several times.",
)
@setting(
    "--base-path",
    env="HOOKLINE_CONSOLE_BASE_PATH",
    metavar="PATH",
    help="The prefix of every path, e.g. /hookline.",
)
@setting(
    "--token-file",
    env="HOOKLINE_CONSOLE_TOKENS",
    metavar="FILE",
    help="Tokens: a file of lines ROLE NAME SHA256 (of the token).",
)
@setting(
    "--behind-proxy",
    env="HOOKLINE_CONSOLE_BEHIND_PROXY",
    is_flag=True,
    help="A proxy in front of it speaks TLS to browsers.",
)
@setting(
    "--proxy-from",
    env="HOOKLINE_CONSOLE_PROXY_FROM",
    metavar="CIDR",
    multiple=True,
    help="The proxy's addresses; may be given several times.",
)
@setting(
    "--proxy-user-header",
    env="HOOKLINE_CONSOLE_PROXY_USER_HEADER",
    metavar="NAME",
    help="The header in which the proxy names the user.",
)
@setting(
    "--proxy-role-header",
    env="HOOKLINE_CONSOLE_PROXY_ROLE_HEADER",
    metavar="NAME",
    help="The header in which the proxy gives the user's role.",
)
@setting(
    "--proxy-role",
    env="HOOKLINE_CONSOLE_PROXY_ROLE",
    metavar="ROLE",
    help="The role of users without one; viewer by default.",
)
@setting(
    "--read-only",
    env="HOOKLINE_CONSOLE_READ_ONLY",
    is_flag=True,
    help="Allow no changes of files, the job or pending deliveries.",
)
@setting(
    "--hide-payloads",
    env="HOOKLINE_CONSOLE_HIDE_PAYLOADS",
    is_flag=True,
    help="Hide bodies, properties, samples and user ids from everyone.",
)
@setting(
    "--audit",
    env="HOOKLINE_CONSOLE_AUDIT",
    metavar="FILE",
    help="The audit log; by default audit.jsonl in the state directory.",
)
@log_options
@click.option("--member", hidden=True, help="Given by `hookline up`.")
def console(
    config: Path,
    state: Path | None,
    log_level: str | None,
    log_format: str | None,
    member: str | None,
    **given: Any,
) -> None:
    """Serve the web console until Ctrl-C; prints a link that is valid once, for 15 minutes.

    It stores no data: it edits the YAML files, reads the state directory, and asks the running job. Users and
    their permissions are configured by `console` in pipeline.yaml; flags take precedence.
    """
    from pipeline.config.job import load_pipeline
    from pipeline.console.serving.service import options_of, run_console

    flags: dict[str, Any] = {
        f"console.{_FLAGS[name]}": list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value
    }
    flags |= {"log.level": log_level, "log.format": log_format}
    report = load_pipeline(config, flags={**flags, "state": None if state is None else str(state)})
    job_config = taken(report, quiet=member is not None)
    run_console(options_of(config, job_config), listening=echo if member is None else tell_link)


def tell_link(link: str) -> None:
    """Tell the supervisor the link that is good once."""
    print_json_lines([{"link": link}])
    sys.stdout.flush()
