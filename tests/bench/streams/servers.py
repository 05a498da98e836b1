"""What receives and what competes: nginx as receiver, syslog-ng as a compiled peer; both from Debian."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.kit.programs.ports import free_port

COUNTED = "/requests"
"""Where nginx tells how many requests it has had."""

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  add_header x-request-id $request_id;
  server {{ listen 127.0.0.1:{port} reuseport; location / {{ return 200; }}
    location = {counted} {{ stub_status; }} }}
}}
"""

SYSLOG_NG = """
@version: 3.38
options {{ stats-freq(0); log-msg-size(65536); }};
source s {{ file("{stream}" flags(no-parse) read-old-records(yes) follow-freq(0.002)
  log-fetch-limit(100) log-iw-size(10000)); }};
parser p {{ json-parser(prefix(".e.")); }};
filter f {{ "${{.e.name}}" eq "Purchase" }};
destination d {{ http(url("{url}") method("POST") headers("content-type: application/json") workers(8)
  body('{body}')); }};
log {{ source(s); parser(p); filter(f); destination(d); flags(flow-control); }};
"""


SYSLOG_BODY = '{"user":"${.e.user_id}","amount":${.e.properties.amount}}'


def wait_for(port: int, secs: float = 10.0) -> None:
    """Wait until somebody listens; raises TimeoutError."""
    deadline = time.monotonic() + secs
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody listens on port {port}")
        time.sleep(0.02)


@contextlib.contextmanager
def receiver(folder: Path) -> Iterator[tuple[str, str]]:
    """Give (origin, what it is): nginx where there is one, else Hookline's own receiver.

    Its answers differ, as those of real receivers do: a request id and a date are in each.
    """
    port = free_port()
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx:
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port, counted=COUNTED))
        command = [nginx, "-c", str(config), "-p", str(folder)]
        name = "nginx, `return 200` with a request id and a date"
    else:
        command = [
            sys.executable,
            "-m",
            "pipeline.cli",
            "receiver",
            "--listen",
            f"127.0.0.1:{port}",
            "--quiet",
        ]
        name = "hookline receiver (nginx is not installed)"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}", name
    finally:
        process.terminate()
        process.wait(10)


@cache
def syslog_ng() -> str | None:
    """Return the path of syslog-ng, None where it or its module for HTTP is not installed."""
    found = shutil.which("syslog-ng") or shutil.which("syslog-ng", path="/usr/sbin")
    if found is None:
        return None
    said = subprocess.run([found, "-V"], capture_output=True, text=True, check=False).stdout
    return found if re.search(r"^Available-Modules:.*\bhttp\b", said, re.MULTILINE) else None
