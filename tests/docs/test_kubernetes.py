"""The manifests of Kubernetes: valid by its own schemas, and what they start is a job with a clean config."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pipeline.cli import app
from pipeline.operate.check import check
from tests.docs.test_docker import DOCKERFILE, parse

FOLDER = Path(__file__).resolve().parents[2] / "docker" / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
Manifest = dict[str, Any]


def manifests(path: Path) -> dict[str, Manifest]:
    """Return the objects of a file by their kind."""
    found: list[Manifest] = list(yaml.safe_load_all(path.read_text()))
    assert len({one["kind"] for one in found}) == len(found)
    return {one["kind"]: one for one in found}


def validate(manifest: Manifest) -> None:
    """Raise for what a Kubernetes of this version refuses, unknown fields too."""
    kubernetes_validate.validate(manifest, "1.31", strict=True)


def container(found: dict[str, Manifest]) -> Manifest:
    (only,) = found["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_object_is_valid(path: Path):
    for manifest in manifests(path).values():
        validate(manifest)


def test_a_typo_would_be_found():
    manifest = copy.deepcopy(manifests(FILES[0])["StatefulSet"])
    manifest["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.utils.ValidationError):
        validate(manifest)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_names_and_labels_fit_together(path: Path):
    found = manifests(path)
    labels = found["StatefulSet"]["metadata"]["labels"]
    pod = found["StatefulSet"]["spec"]["template"]
    assert found["Service"]["spec"]["selector"] == labels == pod["metadata"]["labels"]
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    ports = {port["name"] for port in container(found)["ports"]}
    assert {port["targetPort"] for port in found["Service"]["spec"]["ports"]} <= ports
    mounted = {mount["name"] for mount in container(found)["volumeMounts"]}
    claimed = {claim["metadata"]["name"] for claim in found["StatefulSet"]["spec"]["volumeClaimTemplates"]}
    assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]} | claimed
    (config,) = (one["configMap"] for one in pod["spec"]["volumes"] if "configMap" in one)
    assert config["name"] == found["ConfigMap"]["metadata"]["name"]
    assert {item["key"] for item in config["items"]} == set(found["ConfigMap"]["data"])
    (secret,) = container(found)["envFrom"]
    assert secret["secretRef"]["name"] == found["Secret"]["metadata"]["name"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_in_it_has_a_privilege(path: Path):
    found = manifests(path)
    pod = found["StatefulSet"]["spec"]["template"]["spec"]
    assert f"--uid {pod['securityContext']['runAsUser']} " in DOCKERFILE
    assert container(found)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_its_command_and_its_config_are_good(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = manifests(path)
    assert parse(container(found)["args"]).command.name in app.VERBS
    for variable in container(found)["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    for name, value in found["Secret"]["stringData"].items():
        monkeypatch.setenv(name, value)
    verdict = check(mounted(found, tmp_path))
    assert [finding.message for finding in verdict.findings] == []
    assert verdict.webhooks == 1


def mounted(found: dict[str, Manifest], folder: Path) -> Path:
    """Return a folder as Kubernetes mounts the ConfigMap: links into `..data`, itself a link."""
    (config,) = (
        one["configMap"]
        for one in found["StatefulSet"]["spec"]["template"]["spec"]["volumes"]
        if "configMap" in one
    )
    real = folder / "..2026_11_29"
    for item in config["items"]:
        place = real / item["path"]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(found["ConfigMap"]["data"][item["key"]])
    (folder / "..data").symlink_to(real.name)
    for top in {item["path"].partition("/")[0] for item in config["items"]}:
        (folder / top).symlink_to(f"..data/{top}")
    return folder
