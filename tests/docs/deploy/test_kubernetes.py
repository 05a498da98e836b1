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
from tests.docs.deploy.test_docker import DOCKERFILE, parse

FOLDER = Path(__file__).resolve().parents[3] / "docker" / "kubernetes"
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


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_secret_is_a_file_or_a_variable_of_the_container_and_no_other_is_there(path: Path):
    found = manifests(path)
    pod = found["StatefulSet"]["spec"]["template"]["spec"]
    (files,) = (one["secret"] for one in pod["volumes"] if "secret" in one)
    variables = [one for one in container(found)["env"] if "valueFrom" in one]
    named = {one["valueFrom"]["secretKeyRef"]["name"] for one in variables} | {files["secretName"]}
    assert named == {found["Secret"]["metadata"]["name"]}
    keys = [one["valueFrom"]["secretKeyRef"]["key"] for one in variables]
    assert [one["name"] for one in variables] == keys
    assert sorted([*keys, *(item["key"] for item in files["items"])]) == sorted(found["Secret"]["stringData"])
    (mount,) = (one for one in container(found)["volumeMounts"] if one["name"] == "secrets")
    config = yaml.safe_load(found["ConfigMap"]["data"]["pipeline.yaml"])
    assert config["console"]["tokens"] == f"{mount['mountPath']}/{files['items'][0]['path']}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_state_is_a_folder_in_the_volume_whose_root_others_may_write(path: Path):
    found = manifests(path)
    (root,) = (one["mountPath"] for one in container(found)["volumeMounts"] if one["name"] == "state")
    places = [one["value"] for one in container(found)["env"] if str(one.get("value", "")).startswith("/")]
    assert places
    assert all(place.startswith(f"{root}/") for place in places)
    assert found["StatefulSet"]["spec"]["template"]["spec"]["securityContext"]["fsGroup"] == 10001


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_is_asked_how_it_is_where_it_says_so(path: Path):
    found = manifests(path)
    one = container(found)
    served = {port["name"]: port["containerPort"] for port in one["ports"]}
    assert f"0.0.0.0:{served['metrics']}" in one["args"]
    assert one["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    ready = one["readinessProbe"]["httpGet"]
    assert ready["path"] == "/readyz", "it fails while the pod drains"
    config = yaml.safe_load(found["ConfigMap"]["data"]["pipeline.yaml"])
    for name in ("console", "collect"):
        assert (name in served) == (name in config)
        if name in config:
            assert config[name]["listen"] == f"0.0.0.0:{served[name]}"
    assert ready["port"] == ("collect" if "collect" in config else "metrics")
    grace = found["StatefulSet"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace >= 60


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_network_lets_in_what_is_served_and_out_what_is_needed(path: Path):
    found = manifests(path)
    policy = found["NetworkPolicy"]["spec"]
    assert policy["podSelector"]["matchLabels"] == found["StatefulSet"]["metadata"]["labels"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    let_in = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    assert let_in == {port["name"] for port in container(found)["ports"]}
    assert all(rule["from"] for rule in policy["ingress"])
    out = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert {53, 443} <= out
    assert (9092 in out) == ("source" in yaml.safe_load(found["ConfigMap"]["data"]["pipeline.yaml"]))


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
        if "value" in variable:
            monkeypatch.setenv(variable["name"], variable["value"])
    for name, value in found["Secret"]["stringData"].items():
        if name.isupper():
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
