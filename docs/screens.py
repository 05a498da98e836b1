"""The pictures of the terminal, made by ``make pictures``: what verbs say, as SVG, the same at every run.

``python docs/screens.py`` writes them into docs/pictures/, ``python docs/screens.py FOLDER`` elsewhere. The
verbs are really run, on a project of `hookline init`; only `top` shows made-up numbers: its own are of a
moment.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from pipeline.cli.app import run
from pipeline.cli.output import say
from pipeline.cli.page.lines import fitted
from pipeline.cli.watch.top_view import View
from pipeline.operate.running.top import TopHead, TopRow, TopTable

HERE = Path(__file__).resolve().parent / "pictures"
WIDTH = 80
EVENT = """{"type":"event","name":"Purchase","user_id":"u1","properties":{"amount":40}}\n"""
MISTYPED = """\
id: churn
description: Tell the CRM who has left.
trigger:
  events: [Subscription Canceled]
  where:
    - user.plan: {in: [pro, team]}
    - event.properties.seats: {'>=': 5}
request:
  url: https://crm.example.com/api/churn
  body: {mail: '{{ user.properties.email }}', since: '{{ event.tiem }}'}
delivery:
  retires: 3
"""


def main(words: list[str]) -> int:
    """Write the pictures."""
    for name, text in pictures().items():
        path = (Path(words[0]) if words else HERE) / f"{name}.svg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        say(f"{path}: {path.stat().st_size // 1024} KB")
    return 0


def pictures() -> dict[str, str]:
    """Return every picture by its name."""
    return {name: svg(name, *make()) for name, make in PICTURES.items()}


def demo() -> tuple[str, str]:
    """Return what the demo says, but for times and speeds, which are those of one machine."""
    with project() as folder:
        words = [sys.executable, "-P", "-m", "pipeline.cli", "demo", "--folder", str(folder / "demo")]
        ran = subprocess.run(words, capture_output=True, text=True, check=True, env=environment())
    found = ran.stdout.strip("\n").partition("\nthis run:")[0]
    return "hookline demo", fitted(found, WIDTH)


def explain() -> tuple[str, str]:
    """Return why a webhook does not fire."""
    with project() as folder:
        (folder / "event.json").write_text(EVENT)
        command, found = said("explain", "--event", "event.json")
    return "cat event.json", f"{EVENT}\x1b[1m$ {command}\x1b[0m\n{found}"


def check() -> tuple[str, str]:
    """Return what is wrong with a config."""
    with project() as folder:
        (folder / "config/webhooks/churn.yaml").write_text(MISTYPED)
        return said("check")


def top() -> tuple[str, str]:
    """Return one look at a job, of made-up numbers."""
    rows = (
        row("big-purchase", delivered=18_204, rate=41.0, p99=38.0),
        row(
            "crm-upsert",
            "failing",
            delivered=9_310,
            rate=3.2,
            pending=1_204,
            p99=5_000.0,
            retry=12.0,
            status=503,
        ),
        row("data-lake", delivered=412_880, rate=880.0, p99=61.0),
        row("pagerduty", delivered=12, p99=104.0),
        row("slack-alerts", "well", "paused", delivered=310, pending=22, p99=90.0),
        row("welcome", delivered=2_207, rate=1.4, p99=47.0, dead=2),
    )
    head = TopHead(
        state="./state", processes=2, elapsed_secs=11_520.0, config="44725a2da11a", problems="",
        read=9_418_220,
        read_rate=2_380.0, invalid=3, invalid_rate=0.0, lag=0, left_bytes=0, resident_bytes=241 << 20,
        disk_free_bytes=72 << 30, waits="",
    )  # fmt: skip
    view = View(sort="pending", chosen="data-lake")
    return "hookline top", "\n".join(
        f"{line}\x1b[0m" for line in view.frame(TopTable(head, list(rows)), WIDTH, 14)
    )


def row(
    name: str, receiver: str = "well", state: str = "active", *, delivered: int, rate: float = 0.0,
    pending: int = 0, dead: int = 0, retry: float = 0.0, p99: float = 0.0, status: int = 0,
) -> TopRow:  # fmt: skip
    """Return a webhook of `top`."""
    return TopRow(
        id=name, state=state, receiver=receiver, matched=delivered + pending + dead, delivered=delivered,
        dead=dead, pending=pending, suppressed=0, matched_rate=rate, delivered_rate=rate, retry_rate=retry,
        dead_rate=0.0, oldest_secs=None, in_flight=0, limit=64, on_disk=0, p50_ms=p99 / 3, p99_ms=p99,
        status=status, error="",
    )  # fmt: skip


PICTURES: dict[str, Callable[[], tuple[str, str]]] = {
    "demo": demo, "explain": explain, "check": check, "top": top,
}  # fmt: skip
"""Each gives the command and what it says."""


@contextlib.contextmanager
def project() -> Iterator[Path]:
    """Give a folder with a project in it, and work there."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            run(["init"])
        yield Path(name)


class Screen(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        """Return that it is one."""
        return True


def said(*words: str) -> tuple[str, str]:
    """Run a verb on a terminal; return the command and what stands there."""
    screen, before = Screen(), dict(os.environ)
    os.environ.update(environment())
    os.environ.pop("NO_COLOR", None)
    try:
        with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
            run(words)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return " ".join(("hookline", *words)), screen.getvalue()


def environment() -> dict[str, str]:
    """Return the environment of a terminal in colours, and with nothing of this machine's settings."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("HOOKLINE_", "NO_COLOR"))
    }
    return {**kept, "COLUMNS": str(WIDTH), "FORCE_COLOR": "1", "TERM": "xterm-256color"}


def svg(name: str, command: str, shown: str) -> str:
    """Return the picture of a terminal; without the fonts that rich would ask another machine for."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="standard"
    )
    console.print(Text(f"$ {command}", style="bold"))
    console.print(Text.from_ansi(shown.rstrip("\n")), soft_wrap=True)
    text = console.export_svg(title="hookline", theme=MONOKAI, unique_id=f"hookline-{name}")
    text = re.sub(r"\s*@font-face \{.*?\n    \}", "", text, flags=re.DOTALL)
    text = re.sub(r"<!-- .*? -->\s*", "", text)
    return text.replace(
        "Fira Code, monospace", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
