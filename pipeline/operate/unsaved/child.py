"""The process in which unsaved texts are tried (``python -m pipeline.operate.unsaved.child``)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pipeline.compile.secret_uses import file_state, secret_uses
from pipeline.compile.trial.child import as_data
from pipeline.compile.trial.desk import AskBack, keep_desk
from pipeline.config.files import is_webhook
from pipeline.config.job import FILE
from pipeline.config.yaml.loader import decode_text, parse_yaml
from pipeline.language.secrets import SecretRef
from pipeline.model.findings import in_order
from pipeline.model.json import Value
from pipeline.model.plain_file import read_plain
from pipeline.operate.unsaved.bench import Bench, Tried, data_of
from pipeline.operate.unsaved.trying import AskedUsers, Run, Samples, compared, preview, run

SHOWN = 2_000
"""Findings that are told."""


class Child:
    """Answers what a `Workbench` asks."""

    def __init__(self, ask: AskBack) -> None:
        self._ask = ask
        self._bench: Bench | None = None
        self._samples: tuple[str, Samples] | None = None
        self._before: tuple[object, Run | None] | None = None

    def answer(self, request: dict[str, Value]) -> Value:
        """Do what a request wants."""
        config = Path(request["config"])
        if self._bench is None or self._bench.config != config:
            self._bench = Bench(config, self._ask)
        bench, file = self._bench, request.get("file")
        bench.look(request["environment"])
        tried = bench.saved if file is None else bench.tried(file, request["text"])
        match request["do"]:
            case "check":
                return self._checked(tried)
            case "preview":
                return self._previewed(tried, request)
            case "would_fire":
                return self._would_fire(bench, tried, request)
            case "names":
                return self._names(bench, tried)
            case "webhooks":
                return {"webhooks": _listed(tried)}
        return {}

    def _checked(self, tried: Tried) -> dict[str, Value]:
        report = tried.report
        return {
            "findings": as_data(in_order(report.findings), SHOWN),
            "webhooks": report.webhooks,
            "labels": report.labels,
            "webhook": tried.webhook_id,
            "enabled": tried.enabled,
        }

    def _previewed(self, tried: Tried, request: dict[str, Value]) -> dict[str, Value]:
        told, webhook = self._checked(tried), tried.webhook
        if webhook is None or tried.report.basis is None:
            return told
        users = AskedUsers(self._ask) if request["state"] else None
        return told | preview(tried.report.basis, webhook, request["record"], request["user"], users)

    def _would_fire(self, bench: Bench, tried: Tried, request: dict[str, Value]) -> dict[str, Value]:
        told, webhook = self._checked(tried), tried.webhook
        if webhook is None or tried.report.basis is None:
            return told
        samples = self._sampled(request["samples"], users=request["state"])
        now = run(tried.report.basis, webhook, samples)
        key = (request["samples"], tried.file, bench.saved.report.basis and bench.saved.report.basis.hash)
        if self._before is None or self._before[0] != key:
            old = bench.before(str(tried.file))
            basis = bench.saved.report.basis
            self._before = key, None if old is None or basis is None else run(basis, old, samples)
        return told | compared(now, self._before[1], samples)

    def _sampled(self, key: str, *, users: bool) -> Samples:
        if self._samples is None or self._samples[0] != key:
            told = self._ask({"samples": key}) or []
            self._samples = key, Samples.of(told, AskedUsers(self._ask) if users else None)
        return self._samples[1]

    def _names(self, bench: Bench, tried: Tried) -> dict[str, Value]:
        """Return the names that a text may use."""
        basis = tried.report.basis
        files = {} if basis is None else basis.text.files
        return {
            "labels": [] if basis is None else sorted(basis.labels.names()),
            "bases": sorted(
                name[len("webhooks/") :].rpartition(".")[0]
                for name in files
                if name.startswith("webhooks/_") and not is_webhook(name)
            ),
            "lists": sorted(name for name in files if not name.endswith((".yaml", ".yml"))),
            "shapes": [] if basis is None else sorted(basis.formats.named),
            "secrets": _secrets(bench.config, tried),
        }


def _secrets(config: Path, tried: Tried) -> Value:
    """Return what the files name, by its key: who uses it, and of files whether they can be read."""
    basis = tried.report.basis
    files: list[tuple[str | None, Value]] = [(None, _pipeline(config))]
    settings: list[SecretRef] = []
    if basis is not None:
        documents, checked = basis.text.documents, basis.checked
        files += [(one.model.id, one.data) for one in (*checked.webhooks, *checked.partial)]
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
        root = parse_yaml(decode_text(read_plain(config / FILE)), FILE).root
    except (OSError, ValueError):
        return None
    return None if root is None else root.value


def _listed(tried: Tried) -> list[Value]:
    """Return the webhooks that the files define, also those with errors as far as they can be read."""
    basis = tried.report.basis
    if basis is None:
        return []
    errors = Counter(one.file for one in tried.report.findings if not one.warning)
    known = {one.file: one.data for one in (*basis.checked.webhooks, *basis.checked.partial)}
    found: list[Value] = []
    for name in filter(is_webhook, sorted(basis.text.files)):
        data = known[name] if name in known else data_of(basis, name)
        request = data.get("request")
        request = request if isinstance(request, dict) else {}
        found.append(
            {
                "id": data.get("id"),
                "file": name,
                "enabled": data.get("enabled", True) is not False,
                "description": data.get("description"),
                "trigger": data.get("trigger"),
                "limit": data.get("limit"),
                "method": request.get("method", "POST"),
                "url": request.get("url"),
                "errors": errors[name],
            }
        )
    return found


def main() -> None:
    """Answer until the other process is gone."""
    keep_desk(lambda ask: Child(ask).answer)


if __name__ == "__main__":
    main()
