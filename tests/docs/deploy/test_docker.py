"""The container files fit together: services, mounts, commands, metric names (no engine is needed)."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from pipeline import __version__
from pipeline.cli import app
from pipeline.model.json import Value
from pipeline.telemetry import metrics

ROOT = Path(__file__).resolve().parents[3]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
COLLECT: dict[str, Any] = yaml.safe_load((DOCKER / "compose.collect.yaml").read_text())
FILES = {"compose.yaml": COMPOSE, "compose.collect.yaml": COLLECT}
SERVICES: dict[str, dict[str, Any]] = {**COMPOSE["services"], **COLLECT["services"]}
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("hookline:")}
DOCKERFILE = (DOCKER / "Dockerfile").read_text()

KEYS = {
    "build", "cap_drop", "command", "depends_on", "entrypoint", "environment", "expose", "healthcheck",
    "hostname", "image", "init", "logging", "mem_limit", "pids_limit", "ports", "profiles", "read_only",
    "restart", "secrets", "security_opt", "stop_grace_period", "tmpfs", "user", "volumes",
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
    found = [service["command"] for service in OURS.values()]
    found.append(json.loads(re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[1]))  # type: ignore[index]  # a missing CMD fails here
    found += [
        line.split() for line in re.findall(r"exec job hookline (.+)", (DOCKER / "README.md").read_text())
    ]
    alerts = (DOCKER / "prometheus/alerts.yaml").read_text()
    alerts = alerts.replace("{{ $labels.webhook }}", "ID")
    found += [line.split() for line in re.findall(r"hookline ((?:dlq|check)[\w -]*[\w-])", alerts)]
    return found


def test_services_have_only_known_keys_and_fitting_values():
    assert set(COMPOSE) | set(COLLECT) <= {"name", "secrets", "services", "volumes", "x-hookline"}
    assert len(SERVICES) == len(COMPOSE["services"]) + len(COLLECT["services"]), "two have one name"
    for name, service in SERVICES.items():
        assert set(service) <= KEYS, name
        assert isinstance(service["image"], str)
        assert all(isinstance(value, str) for value in service.get("environment", {}).values()), name
        assert service.get("restart", "no") in {"no", "unless-stopped"}, name


def test_images_are_named_with_a_version_ours_with_that_of_the_package():
    assert {service["image"] for service in OURS.values()} == {f"hookline:{__version__}"}
    assert f"-t hookline:{__version__} ." in (DOCKER / "README.md").read_text()
    for service in SERVICES.values():
        assert re.search(r":v?\d+\.\d+", service["image"])
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
                assert mount.endswith(":ro"), mount
            else:
                assert source in {**COMPOSE["volumes"], **COLLECT["volumes"]}, mount
    build = SERVICES["job"]["build"]
    assert (DOCKER / build["context"] / build["dockerfile"]).exists()


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_published_ports_are_bound_to_this_machine_alone(file: dict[str, Any]):
    ports = [port for service in file["services"].values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert len({port.split(":")[1] for port in ports}) == len(ports)


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_secrets_are_files_each_of_which_a_service_has_and_none_is_a_variable(file: dict[str, Any]):
    for name, said in file["secrets"].items():
        assert (DOCKER / said["file"]).read_text().strip(), name
    given = {name for service in file["services"].values() for name in service.get("secrets", [])}
    assert given == set(file["secrets"])
    variables = [name for one in file["services"].values() for name in one.get("environment", {})]
    assert [name for name in variables if re.search("KEY|TOKEN|SECRET|PASSWORD", name)] == []


@pytest.mark.parametrize("words", hookline_commands(), ids=" ".join)
def test_every_hookline_command_parses(words: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOOKLINE_STATE", "state")
    assert parse(words).command.name in {*app.VERBS, "list", "show", "export"}


def test_a_command_with_a_typo_would_be_found():
    with pytest.raises(click.UsageError):
        parse(["run", "--metrcis", "0.0.0.0:9090"])


@pytest.mark.parametrize(
    ("folder", "service", "webhooks"),
    [("config", "job", 2), ("collector", "collect", 0), ("collect", "up", 1)],
)
def test_configs_are_clean_and_their_secrets_are_those_of_their_service(
    folder: str, service: str, webhooks: int, tmp_path: Path
):
    from pipeline.operate.check import check

    mine = shutil.copytree(DOCKER / folder, tmp_path / "config")
    (mine / "webhooks").mkdir(exist_ok=True)  # a collector has none
    verdict = check(mine, offline=True)
    # Inside one machine's network TLS would protect nothing.
    assert {finding.code for finding in verdict.findings} <= {"no-tls"}
    assert (verdict.errors, verdict.webhooks) == (0, webhooks)
    text = (DOCKER / folder / "pipeline.yaml").read_text()
    assert set(re.findall(r"/run/secrets/(\w+)", text)) == set(SERVICES[service]["secrets"])
    assert f"./{folder}:/etc/hookline:ro" in SERVICES[service]["volumes"]


def test_what_is_kept_lies_in_volumes():
    image = set(json.loads(re.search(r"^VOLUME (\[.*\])$", DOCKERFILE, re.MULTILINE)[1]))  # type: ignore[index]  # a missing VOLUME fails here
    state = re.search(r"HOOKLINE_STATE=(\S+)", DOCKERFILE)[1]  # type: ignore[index]  # a missing one fails here
    recording = yaml.safe_load((DOCKER / "collect/pipeline.yaml").read_text())["collect"]["to"]["recording"]
    assert image == {state, recording}
    mounted = {name: {mount.split(":")[1] for mount in one.get("volumes", [])} for name, one in OURS.items()}
    assert state in mounted["job"]
    assert {state, recording} <= mounted["up"]
    made = re.search(r"install -d -o hookline -g hookline (.+) ", DOCKERFILE)[1].split()  # type: ignore[index]  # a missing one fails here
    assert image <= set(made), "a new volume has the owner of the folder in the image"


def test_the_console_knows_who_comes_and_keeps_its_audit_beside_the_job():
    for folder, service in (("config", "job"), ("collect", "up")):
        console = yaml.safe_load((DOCKER / folder / "pipeline.yaml").read_text())["console"]
        assert console["behind_proxy"], "from all addresses of the container: nothing else starts"
        assert f"127.0.0.1:{console['listen'].rpartition(':')[2]}:8780" in SERVICES[service]["ports"]
        assert SERVICES[service]["command"][0] == "up", "one PID namespace: LMDB knows readers by their id"
    known = (DOCKER / "secrets/console_tokens").read_text()
    digest = hashlib.sha256(b"trial").hexdigest()
    assert f"operator trial {digest}" in known
    assert "`trial`" in (DOCKER / "README.md").read_text()


def test_what_serves_health_is_asked_for_it_and_nothing_else():
    asked = {name for name, service in SERVICES.items() if "healthcheck" in service}
    serving = {name for name, service in OURS.items() if "--metrics" in service["command"]}
    assert asked - {"kafka"} == serving
    for name in serving:
        program = SERVICES[name]["healthcheck"]["test"][3]
        port = SERVICES[name]["command"][SERVICES[name]["command"].index("--metrics") + 1].rpartition(":")[2]
        assert f"http://127.0.0.1:{port}/healthz" in program
        compile(program, name, "exec")


def test_no_container_of_ours_may_write_beside_its_volume_or_has_a_privilege():
    assert len(OURS) == 6
    for name, service in OURS.items():
        assert (service["read_only"], service["user"], service["init"]) == (True, "10001:10001", True), name
        assert service["tmpfs"][0].startswith("/tmp:size="), name
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["logging"]["options"]["max-size"], f"{name}: its log would fill the disk"


def test_what_has_something_to_finish_is_given_the_time():
    """The job sends what is on its way for ten seconds at most, the collector waits five for its disk."""
    for name, service in OURS.items():
        grace = service.get("stop_grace_period", "10s")
        least = {"run": 30, "up": 45, "collect": 15}.get(service["command"][0], 10)
        assert int(grace.removesuffix("s")) >= least, name


def test_dashboards_are_there_for_who_asks_for_them():
    assert {name for name, one in SERVICES.items() if one.get("profiles") == ["watch"]} == {
        "prometheus",
        "grafana",
    }


def test_the_image_starts_without_a_config(tmp_path: Path):
    words = json.loads(re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[1])  # type: ignore[index]  # a missing CMD fails here
    assert words[:2] == ["demo", "--folder"]
    assert words[2].startswith("/var/lib/hookline/state/"), "all else is read-only"


def test_topics_are_created_with_equal_partitions_and_those_with_users_are_kept_for_good():
    source = yaml.safe_load((DOCKER / "config/pipeline.yaml").read_text())["source"]["kafka"]
    sink = yaml.safe_load((DOCKER / "collector/pipeline.yaml").read_text())["collect"]["to"]["kafka"]["topic"]
    once, kept = SERVICES["topics"]["command"][0].split("for topic in ")
    names = kept.partition(";")[0].split()
    created = [*re.findall(r"--topic (\w+)", once), *names]
    assert sorted(created) == sorted([*source["events"], *source["users"]])
    assert source["topics"] == {sink: {"format": "collected"}}
    assert len(set(re.findall(r"--partitions (\d+)", once + kept))) == 1
    assert {*source["users"], sink} == set(names)
    for word in ("cleanup.policy=delete", "retention.ms=-1", "retention.bytes=-1"):
        assert word in kept


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


def test_what_is_scraped_serves_it_under_the_name_by_which_it_is_asked():
    targets = yaml.safe_load((DOCKER / "prometheus/prometheus.yaml").read_text())["scrape_configs"][0]
    found = targets["static_configs"][0]["targets"]
    assert {target.partition(":")[0] for target in found} == {"job", "collect"}
    for name, _, port in (target.partition(":") for target in found):
        assert SERVICES[name]["hostname"] == name
        assert f"0.0.0.0:{port}" in SERVICES[name]["command"]
