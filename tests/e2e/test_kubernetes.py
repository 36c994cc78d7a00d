"""The manifests are what Kubernetes' own schemas ask for, as they stand and as kustomize renders them."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
VERSIONS = ["1.27", "1.34", "1.37"]
COMPONENTS: list[list[str]] = [[], ["ingress"], ["host-ports"], ["ingress", "host-ports"]]


def refusals(documents: list[dict[str, Any]], version: str) -> list[str]:
    """What the schemas of a version say against some documents, fields that they do not know included."""
    import kubernetes_validate

    found = []
    for document in documents:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{document['kind']} {document['metadata']['name']}: {error.message}")
    return found


def rendered(folder: Path) -> list[dict[str, Any]]:
    """What kustomize makes of a folder."""
    program = ["kubectl", "kustomize"] if shutil.which("kubectl") else ["kustomize", "build"]
    done = subprocess.run([*program, str(folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture
def overlay(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """An overlay such as the documentation shows, with some components."""
    if not (shutil.which("kubectl") or shutil.which("kustomize")):
        pytest.skip("neither the program kubectl nor kustomize is installed")
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    folder = tmp_path / "kubernetes" / "mine"
    folder.mkdir()
    written = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "smartscale",
        "resources": ["../base"],
        "components": [f"../{name}" for name in request.param],
        "images": [{"name": "smartscale", "newName": "registry.example.com/smartscale", "newTag": "1"}],
        "configMapGenerator": [
            {
                "name": "smartscale-settings",
                "behavior": "merge",
                "literals": ["HEADSCALE_SERVER_URL=https://own.example"],
            }
        ],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(written))
    return folder


@pytest.mark.skipif(
    importlib.util.find_spec("kubernetes_validate") is None, reason="the package kubernetes-validate is not installed"
)
class TestSchemas:
    """Against several versions of Kubernetes."""

    @pytest.mark.parametrize("version", VERSIONS)
    def test_each_manifest_is_as_its_schema_asks(self, version: str) -> None:
        files = [
            file
            for file in sorted(KUBERNETES.rglob("*.yaml"))
            if file.name not in ("kustomization.yaml", "config.yaml")
        ]
        patches = [KUBERNETES / "host-ports" / "derp-ports.yaml"]
        read = [one for file in files if file not in patches for one in yaml.safe_load_all(file.read_text())]
        assert len(read) > 20 and refusals(read, version) == []

    def test_a_field_that_does_not_exist_would_be_seen(self) -> None:
        wrong = next(yaml.safe_load_all((KUBERNETES / "base" / "gateway.yaml").read_text()))
        wrong["spec"]["portz"] = []
        assert "portz" in refusals([wrong], VERSIONS[0])[0]

    @pytest.mark.parametrize("overlay", COMPONENTS, indirect=True, ids=lambda names: "+".join(names) or "base")
    def test_an_overlay_of_them_is_too(self, overlay: Path) -> None:
        made = rendered(overlay)
        assert refusals(made, VERSIONS[-1]) == []
        images = {
            one["spec"]["template"]["spec"]["containers"][0]["image"] for one in made if one["kind"] == "Deployment"
        }
        assert images == {"registry.example.com/smartscale:1"}
        merged = [one["data"] for one in made if one["metadata"]["name"].startswith("smartscale-settings-")]
        assert [data["HEADSCALE_SERVER_URL"] for data in merged] == ["https://own.example"]
        assert not [one for one in made if one["kind"] == "Secret"]


@pytest.mark.parametrize("overlay", [["host-ports"]], indirect=True)
def test_the_component_puts_the_relay_on_its_node(overlay: Path) -> None:
    made = {(one["kind"], one["metadata"]["name"]): one for one in rendered(overlay)}
    ports = made["Deployment", "derp"]["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert {port["name"]: port.get("hostPort") for port in ports} == {
        "derp": 8443, "stun": 3478, "grpc": None, "metrics": None,
    }  # fmt: skip
    assert made["Service", "derp"]["spec"]["type"] == "ClusterIP"
