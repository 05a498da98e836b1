"""The container files fit together: services, mounts, commands, metric names (no engine is needed)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from pipeline.cli import app
from pipeline.model.json import Value
from pipeline.telemetry import metrics

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
COLLECT: dict[str, Any] = yaml.safe_load((DOCKER / "compose.collect.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = {**COMPOSE["services"], **COLLECT["services"]}
DOCKERFILE = (DOCKER / "Dockerfile").read_text()

KEYS = {
    "build", "cap_drop", "command", "depends_on", "entrypoint", "environment", "expose", "healthcheck",
    "hostname", "image", "init", "ports", "read_only", "restart", "security_opt", "stop_grace_period",
    "tmpfs", "volumes",
}  # fmt: skip
"""The keys of the Compose specification that these services use."""


def parse(words: list[str]) -> click.Context:
    """Parse a command line of `hookline` without running it; raises click.UsageError."""
    context = app.cli.make_context("hookline", list(words))
    while isinstance(context.command, click.Group):
        name, command, rest = context.command.resolve_command(context, context._protected_args + context.args)
        assert command is not None
        context = command.make_context(name, rest, parent=context)
    return context


def hookline_commands() -> list[list[str]]:
    """Return every `hookline` command line of the folder, without the program's name."""
    found = [service["command"] for service in SERVICES.values() if service["image"] == "hookline"]
    found.append(json.loads(re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[1]))  # type: ignore[index]  # a missing CMD fails here
    found += [
        line.split() for line in re.findall(r"exec job hookline (.+)", (DOCKER / "README.md").read_text())
    ]
    alerts = (DOCKER / "prometheus/alerts.yaml").read_text()
    alerts = alerts.replace("{{ $labels.webhook }}", "ID")
    found += [line.split() for line in re.findall(r"hookline ((?:dlq|check)[\w -]*[\w-])", alerts)]
    return found


def test_services_have_only_known_keys_and_fitting_values():
    assert set(COMPOSE) | set(COLLECT) <= {"name", "services", "volumes", "x-hookline"}
    assert len(SERVICES) == len(COMPOSE["services"]) + len(COLLECT["services"]), "two have one name"
    for name, service in SERVICES.items():
        assert set(service) <= KEYS, name
        assert isinstance(service["image"], str)
        assert all(isinstance(value, str) for value in service.get("environment", {}).values()), name
        assert service.get("restart", "no") in {"no", "unless-stopped"}, name


def test_images_are_named_with_a_version():
    for service in SERVICES.values():
        assert service["image"] == "hookline" or re.search(r":v?\d+\.\d+", service["image"])
    assert "latest" not in DOCKERFILE


def test_what_a_service_waits_for_exists():
    for name, service in SERVICES.items():
        waits = service.get("depends_on", {})
        assert set(waits) <= set(SERVICES), name
        for other, how in waits.items() if isinstance(waits, dict) else ():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other]
            if how["condition"] == "service_completed_successfully":
                assert SERVICES[other]["restart"] == "no"


def test_mounts_are_files_of_the_repository_or_declared_volumes():
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("."):
                assert (DOCKER / source).exists(), mount
            else:
                assert source in {**COMPOSE["volumes"], **COLLECT["volumes"]}, mount
    build = SERVICES["job"]["build"]
    assert (DOCKER / build["context"] / build["dockerfile"]).exists()


def test_published_ports_are_bound_to_this_machine_alone():
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert len({port.split(":")[1] for port in ports}) == len(ports)


@pytest.mark.parametrize("words", hookline_commands(), ids=" ".join)
def test_every_hookline_command_parses(words: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOOKLINE_STATE", "state")
    assert parse(words).command.name in {*app.VERBS, "list", "show", "export"}


def test_a_command_with_a_typo_would_be_found():
    with pytest.raises(click.UsageError):
        parse(["run", "--metrcis", "0.0.0.0:9090"])


def test_the_job_has_a_clean_config():
    from pipeline.operate.check import check

    verdict = check(DOCKER / "config", offline=True)
    # Inside one machine's network TLS would protect nothing.
    assert {finding.code for finding in verdict.findings} == {"no-tls"}
    assert (verdict.errors, verdict.webhooks) == (0, 2)


def test_what_collects_has_a_clean_config(monkeypatch: pytest.MonkeyPatch):
    from pipeline.operate.check import check

    environment = SERVICES["up"]["environment"]
    monkeypatch.setenv("HOOKLINE_COLLECT_TO_RECORDING", environment["HOOKLINE_COLLECT_TO_RECORDING"])
    verdict = check(DOCKER / "collect", offline=True)
    assert {finding.code for finding in verdict.findings} == {"no-tls"}
    assert (verdict.errors, verdict.webhooks) == (0, 1)
    mounted = SERVICES["up"]["volumes"][1].split(":")[1]
    for name in ("HOOKLINE_COLLECT_TO_RECORDING", "HOOKLINE_STATE"):
        assert environment[name].startswith(f"{mounted}/"), "it would be lost with the container"


def test_what_serves_health_is_asked_for_it_and_nothing_else():
    asked = {name for name, service in SERVICES.items() if "healthcheck" in service}
    serving = {name for name, service in SERVICES.items() if "--metrics" in service.get("command", [])}
    assert asked - {"kafka"} == serving
    for name in serving:
        program = SERVICES[name]["healthcheck"]["test"][3]
        port = SERVICES[name]["command"][SERVICES[name]["command"].index("--metrics") + 1].rpartition(":")[2]
        assert f"http://127.0.0.1:{port}/healthz" in program
        compile(program, name, "exec")


def test_no_container_of_ours_may_write_beside_its_volume_or_has_a_privilege():
    for name, service in SERVICES.items():
        if service["image"] == "hookline":
            assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name


def test_the_image_starts_without_a_config(tmp_path: Path):
    words = json.loads(re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[1])  # type: ignore[index]  # a missing CMD fails here
    assert words[:2] == ["demo", "--folder"]
    assert words[2].startswith("/var/lib/hookline/state/"), "all else is read-only"


def test_topics_of_the_job_are_created_with_equal_partitions():
    source = yaml.safe_load((DOCKER / "config/pipeline.yaml").read_text())["source"]["kafka"]
    script = SERVICES["topics"]["command"][0]
    created = dict(re.findall(r"--topic (\S+) --partitions (\d+)", script))
    assert set(created) == {*source["events"], *source["users"]}
    assert len(set(created.values())) == 1


def test_the_image_is_built_from_the_hashed_lock_and_runs_without_privileges():
    assert "--require-hashes --no-deps -r requirements/run.lock" in DOCKERFILE
    last = DOCKERFILE.rsplit("FROM ", 1)[1]
    assert re.findall(r"^USER (.+)$", last, re.MULTILINE) == ["10001:10001"], "a number, for Kubernetes"
    assert not re.search(r"^HEALTHCHECK", last, re.MULTILINE), "services that serve nothing would fail it"
    assert re.search(r'^ENTRYPOINT \["hookline"\]$', last, re.MULTILINE)
    for copied in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for source in copied.split()[:-1]:
            assert (ROOT / source).exists(), source


def test_what_the_image_copies_is_not_ignored():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for copied in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        assert set(copied.split()[:-1]) <= allowed


def test_hadolint_has_nothing_to_say():
    hadolint = Path(sys.executable).with_name("hadolint")
    result = subprocess.run([hadolint, DOCKER / "Dockerfile"], capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stdout


def expressions(value: Value) -> list[str]:
    """Return all Prometheus expressions of a dashboard or a rule file."""
    if isinstance(value, dict):
        own = [value["expr"]] if isinstance(value.get("expr"), str) else []
        return own + [found for inner in value.values() for found in expressions(inner)]
    return [found for inner in value for found in expressions(inner)] if isinstance(value, list) else []


def test_dashboard_and_alerts_use_only_metrics_and_labels_that_exist():
    known = {metrics.prometheus_name(name): metric for name, metric in metrics.METRICS.items()}
    dashboard = json.loads((DOCKER / "grafana/dashboards/hookline.json").read_text())
    alerts = yaml.safe_load((DOCKER / "prometheus/alerts.yaml").read_text())
    found = expressions(dashboard) + expressions(alerts)
    assert len(found) > 15
    for expression in found:
        names = re.findall(r"\b((?:hookline|process)_\w+?)(?:_bucket)?\b(?=[{\[) ]|$)", expression)
        assert names or "up{" in expression, expression
        for name in names:
            assert name in known, expression
        for labels in re.findall(r"by \(([\w, ]+)\)", expression):
            usable = {"le", *(label for name in names for label in known[name].labels)}
            assert {label.strip() for label in labels.split(",")} <= usable, expression


def test_the_scraped_target_is_the_job():
    targets = yaml.safe_load((DOCKER / "prometheus/prometheus.yaml").read_text())["scrape_configs"][0]
    assert targets["static_configs"][0]["targets"] == ["job:9090"]
    assert "0.0.0.0:9090" in SERVICES["job"]["command"]
