"""``hookline receiver``: a receiver on this machine that shows what arrives, and can misbehave on purpose."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.kinds import Place
from pipeline.cli.output import print_json_lines, say
from pipeline.model.errors import UsageError, cannot_listen
from pipeline.model.words import counted

if TYPE_CHECKING:
    import ssl

    from pipeline.receiver.received import Request


@click.command()
@click.option(
    "--listen",
    default="127.0.0.1:8787",
    metavar="ADDRESS",
    help="PORT or HOST:PORT; port 0 takes a free one.",
)
@click.option(
    "--secret",
    "secrets",
    metavar="SECRET",
    multiple=True,
    envvar="HOOKLINE_RECEIVER_SECRET",
    show_envvar=True,
    help="Check signatures with this whsec_ or whpk_ secret; may be given several times.",
)
@click.option(
    "--script",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JSON file with the answers: a path or * to a list of statuses, faults or objects.",
)
@click.option(
    "--answer", metavar="STATUS", help="Answer every request with this status, or with a fault's name."
)
@click.option("--record", type=Place(), help="Append what arrives to this file, one JSON per line.")
@click.option("--headers", is_flag=True, help="Show the headers too.")
@click.option("--quiet", is_flag=True, help="Show nothing; for measuring.")
@click.option("--control", is_flag=True, help="Let PUT /_receiver/script replace the script.")
@click.option(
    "--cert", type=click.Path(path_type=Path, exists=True), help="Serve TLS with this certificate (PEM)."
)
@click.option("--key", type=click.Path(path_type=Path, exists=True), help="The certificate's key (PEM).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per request, and nothing else.")
def receiver(
    listen: str,
    secrets: tuple[str, ...],
    script: Path | None,
    answer: str | None,
    record: Path | None,
    headers: bool,
    quiet: bool,
    control: bool,
    cert: Path | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Run a local receiver that shows webhooks and checks their signatures, until Ctrl-C.

    The job must be allowed to reach it: `network.allow` in pipeline.yaml, or `run --allow 127.0.0.0/8`.
    """
    from pipeline.admin.service import parse_address
    from pipeline.receiver.server import serve
    from pipeline.receiver.show import printer
    from pipeline.telemetry.screen import CLEAR, is_live

    host, port = parse_address(listen, "--listen")
    before = CLEAR if is_live(sys.stdout) else ""
    shown = json_printer(secrets) if as_json else printer(sys.stdout, secrets, headers=headers, before=before)
    try:
        count = serve(
            host=host,
            port=port,
            script=read_script(script, answer),
            record=record,
            inspect=None if quiet else shown,
            listening=lambda bound: say(f"listening on {'https' if cert else 'http'}://{host}:{bound}"),
            control=control,
            tls=tls_context(cert, key),
        )
    except OSError as error:
        raise cannot_listen(host, port, error) from error
    say(counted(count, "request"))


def read_script(path: Path | None, answer: str | None) -> dict[str, Any] | None:
    """Return the script of the file or of the one answer; raises UsageError for one that is wrong."""
    import orjson

    from pipeline.receiver.script import Script

    if path is not None and answer is not None:
        raise UsageError("--script and --answer exclude each other")
    try:
        if path is None:
            script: Any = None if answer is None else {"*": int(answer) if answer.isdecimal() else answer}
        else:
            script = orjson.loads(path.read_bytes())
        Script(script)
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path or '--answer'}: {error}") from error
    return script  # type: ignore[no-any-return]  # Script has checked it


def json_printer(secrets: tuple[str, ...]) -> Callable[[Request, int], None]:
    """Return what prints one request as a line of JSON."""

    from pipeline.receiver.verify import check_request

    def show(request: Request, status: int) -> None:
        row = {
            "at": request.at,
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": dict(request.headers),
            "body": request.body.decode("utf-8", "backslashreplace"),
            "status": status or None,
        }
        if secrets:
            problem = check_request(request.headers, request.body, secrets, time.time())
            row["signature"] = problem or "ok"
        print_json_lines([row])

    return show


def tls_context(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return the TLS settings of a certificate; raises UsageError where it cannot be used."""
    if cert is None:
        if key is not None:
            raise UsageError("--key belongs to a certificate: name that with --cert")
        return None
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        hint = "" if key is not None else "; where its key lies in another file: --key"
        raise UsageError(f"{cert}: cannot be used as a certificate ({error}){hint}") from error
    return context
