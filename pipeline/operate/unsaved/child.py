"""The child process in which unsaved texts are tried (``python -m pipeline.operate.unsaved.child``)."""

from __future__ import annotations

import re
import time
from pathlib import Path

from pipeline.compile.secret_uses import file_state, secret_uses
from pipeline.compile.trial.child import bounded
from pipeline.compile.trial.desk import AskBack, keep_desk
from pipeline.config.files import is_webhook
from pipeline.config.places import FILE
from pipeline.config.yaml.loader import decode_text, parse_yaml
from pipeline.language.secrets import SecretRef
from pipeline.model.files.plain_file import read_plain
from pipeline.model.findings import in_order
from pipeline.model.json import Value
from pipeline.operate.files.authors import unreadable
from pipeline.operate.unsaved.bench import Bench, Tried
from pipeline.operate.unsaved.complete.offers import complete
from pipeline.operate.unsaved.explaining import explain
from pipeline.operate.unsaved.labelling import labelled
from pipeline.operate.unsaved.listing import listed, names_of
from pipeline.operate.unsaved.results import Checked, Completion, Explanation, LabelSeen, Previewed, WouldFire
from pipeline.operate.unsaved.trying import AskedUsers, Run, Samples, compared, preview, run

_SECRET = re.compile(r"\$\{([A-Za-z_]\w{0,99})(?:\}|:-)")
REMEMBERED = 100
"""Records whose time is remembered."""


class Child:
    """Answers a `Workbench`'s requests."""

    def __init__(self, ask: AskBack) -> None:
        self._ask = ask
        self._bench: Bench | None = None
        self._catalog: tuple[str, Value] | None = None
        self._samples: tuple[str, Samples] | None = None
        self._times: dict[str, int] = {}
        """When records were first given."""
        self._before: tuple[object, Run | None] | None = None

    def answer(self, request: dict[str, Value]) -> Value:
        """Execute a request: ``result`` is its result, ``untried`` why its text was not tried."""
        config = Path(request["config"])
        if self._bench is None or self._bench.config != config:
            self._bench = Bench(config, self._ask)
        bench, file = self._bench, request.get("file")
        if file is not None and request["text"] is not None:
            refused = unreadable(config, file, request["text"], settings=request["settings"])
            if refused:
                return {"untried": Checked(file, tuple(bounded(refused)))}
        bench.look(request["environment"])
        tried = bench.saved if file is None else bench.tried(file, request["text"])
        return {"result": self._done(bench, tried, request)}

    def _done(self, bench: Bench, tried: Tried, request: dict[str, Value]) -> Value:
        match request["do"]:
            case "check":
                return _checked(tried)
            case "preview":
                return self._previewed(tried, request)
            case "explain":
                return self._explained(tried, request)
            case "would_fire":
                return self._would_fire(bench, tried, request)
            case "labels":
                return self._labelled(tried, request)
            case "complete":
                return self._completed(bench, tried, request)
            case "secrets":
                return _secrets(bench.config, tried)
            case "webhooks":
                return listed(tried.report)
        return None  # `prepare`: it has been read

    def _users(self, request: dict[str, Value]) -> AskedUsers | None:
        return AskedUsers(self._ask) if request["state"] else None

    def _explained(self, tried: Tried, request: dict[str, Value]) -> Explanation:
        basis = tried.report.basis
        if basis is None:
            return Explanation()
        return explain(basis, request["record"], request["user"], self._users(request))

    def _labelled(self, tried: Tried, request: dict[str, Value]) -> list[LabelSeen]:
        basis = tried.report.basis
        return [] if basis is None else labelled(basis, self._sampled(request))

    def _previewed(self, tried: Tried, request: dict[str, Value]) -> Previewed:
        checked, webhook = _checked(tried), tried.webhook
        if webhook is None or tried.report.basis is None:
            return Previewed(checked)
        record: str = request["record"]
        # Stable across keystrokes, so that the output does not change with the clock.
        now = self._times.setdefault(record, time.time_ns() // 1_000_000)
        while len(self._times) > REMEMBERED:
            del self._times[next(iter(self._times))]
        users = self._users(request)
        return preview(checked, tried.report.basis, webhook, record, request["user"], users, now)

    def _would_fire(self, bench: Bench, tried: Tried, request: dict[str, Value]) -> WouldFire:
        checked, webhook = _checked(tried), tried.webhook
        if webhook is None or tried.report.basis is None:
            return WouldFire(checked)
        samples = self._sampled(request)
        now = run(tried.report.basis, webhook, samples)
        key = (request["samples"], tried.file, bench.saved.report.basis and bench.saved.report.basis.hash)
        if self._before is None or self._before[0] != key:
            old = bench.before(str(tried.file))
            basis = bench.saved.report.basis
            self._before = key, None if old is None or basis is None else run(basis, old, samples)
        return compared(checked, now, self._before[1], samples)

    def _sampled(self, request: dict[str, Value]) -> Samples:
        key: str = request["samples"]
        if self._samples is None or self._samples[0] != key:
            told = self._ask({"samples": key}) or []
            self._samples = key, Samples.of(told, self._users(request))
        return self._samples[1]

    def _completed(self, bench: Bench, tried: Tried, request: dict[str, Value]) -> list[Completion]:
        if self._catalog is None or self._catalog[0] != request["catalog"]:
            self._catalog = request["catalog"], self._ask({"catalog": request["catalog"]})
        names = _names(bench, tried, request["text"])
        return complete(
            request["file"], request["text"], request["line"], request["column"], names, self._catalog[1]
        )


def _checked(tried: Tried) -> Checked:
    report = tried.report
    return Checked(
        tried.file or "",
        tuple(bounded(in_order(report.findings))),
        report.webhooks,
        report.labels,
        tried.webhook_id,
        tried.enabled,
    )


def _names(bench: Bench, tried: Tried, text: str) -> dict[str, Value]:
    """Return the names that a text may use."""
    basis = tried.report.basis
    files = {} if basis is None else basis.text.files
    secrets = _secrets(bench.config, tried)
    for name in _SECRET.findall(text):  # which may be too broken to be read
        secrets.setdefault(name, {"webhooks": [], "has_default": False, "file": False})
    for name, one in secrets.items():
        one["set"] = one["readable"] if one["file"] else bench.is_set(name)
    return {
        "labels": [] if basis is None else sorted(basis.labels.names()),
        "bases": sorted(
            name[len("webhooks/") :].rpartition(".")[0]
            for name in files
            if name.startswith("webhooks/_") and not is_webhook(name)
        ),
        "lists": sorted(name for name in files if not name.endswith((".yaml", ".yml"))),
        "shapes": [] if basis is None else sorted(basis.formats.named),
        "secrets": secrets,
    }


def _secrets(config: Path, tried: Tried) -> Value:
    """Return what the files name, by its key: who uses it, and of files whether they can be read."""
    basis = tried.report.basis
    files: list[tuple[str | None, Value]] = [(None, _pipeline(config))]
    settings: list[SecretRef] = []
    if basis is not None:
        documents, checked, ids = basis.text.documents, basis.checked, names_of(basis)
        files += [(ids[one.file], one.data) for one in (*checked.webhooks, *checked.partial)]
        settings += [ref for name in documents for ref in documents.uses(name).settings]
    found: dict[str, Value] = {}
    for key, use in secret_uses(files, settings).items():
        is_file = key.startswith("file:")
        readable, age = file_state(key, config) if is_file else (False, None)
        found[key] = {
            "webhooks": [*use.webhooks],
            "setting": use.setting and not use.secret,
            "has_default": use.has_default,
            "file": is_file,
            "readable": readable,
            "age_secs": age,
        }
    return found


def _pipeline(config: Path) -> Value:
    try:
        return parse_yaml(decode_text(read_plain(config / FILE)), FILE).data
    except (OSError, ValueError):
        return None


def main() -> None:
    """Answer until the parent is gone."""
    keep_desk(lambda ask: Child(ask).answer)


if __name__ == "__main__":
    main()
