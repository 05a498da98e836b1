"""How `hookline receiver` prints what arrives."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from pipeline.model.printable import one_line, printable
from pipeline.receiver.received import Request
from pipeline.receiver.verify import check_request

_SHOWN_BODY = 2000


def printer(
    out: TextIO, secrets: Sequence[str] = (), *, headers: bool = False, before: str = ""
) -> Callable[[Request, int], None]:
    """Return a function that prints one request: its line, the verdict on its signature, its body.

    secrets: if given, every request's Standard Webhooks signature is checked. before: what makes room for it
    on a terminal.
    """

    def show(request: Request, status: int) -> None:
        at = time.strftime("%H:%M:%S", time.gmtime(request.at))
        attempt = request.headers.get("webhook-attempt", "")
        words = [at, request.method, request.path + (f"?{request.query}" if request.query else "")]
        words.append(f"-> {status}" if status else "-> fault")
        if request.message_id:
            words.append(request.message_id + (f" attempt {attempt}" if attempt not in ("", "1") else ""))
        if secrets:
            problem = check_request(request.headers, request.body, secrets, time.time())
            words.append("signature ok" if problem is None else f"signature BAD: {problem}")
        lines = [one_line(" ".join(words))]
        if headers:
            lines += [one_line(f"  {name}: {value}") for name, value in request.headers.items()]
        if request.body:
            lines.append("  " + _pretty(request.body).replace("\n", "\n  "))
        out.write(before + "\n".join([*lines, ""]))  # in one piece: a job may show its status beside it
        out.flush()

    return show


def _pretty(body: bytes) -> str:
    text = body.decode("utf-8", "backslashreplace")
    try:
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        pass  # a form, NDJSON, or not JSON at all: shown as received
    shown = text if len(text) <= _SHOWN_BODY else text[:_SHOWN_BODY] + f" ... ({len(text)} characters)"
    return printable(shown)
