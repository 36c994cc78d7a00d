"""The manifests for Kubernetes say what docker-compose.yml, Dockerfile and configuration say, and hang together."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.shared.config import Config, load
from services.shared.config.environment import keys, variable
from services.shared.config.stack import check_stack

ROOT = Path(__file__).parents[3]
KUBERNETES = ROOT / "deploy" / "kubernetes"
BASE = KUBERNETES / "base"
CONFIG = BASE / "config.yaml"
TEMPLATE = KUBERNETES / "secrets.template.yaml"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}
DOCKERFILE = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()
NETWORK = "smartscale/network-"
NOT_IN_COMPOSE = {
    "HEADSCALE_TRUSTED_PROXIES",  # an Ingress stands before the gateways
    "HEADSCALE_DATABASE_POSTGRES_HOST",  # the database is elsewhere
    "HEADSCALE_DATABASE_POSTGRES_SSL",
}


def documents(kind: str, folder: Path = BASE) -> dict[str, dict[str, Any]]:
    """All of one kind below a folder, by name."""
    read = [one for file in sorted(folder.rglob("*.yaml")) for one in yaml.safe_load_all(file.read_text())]
    return {one["metadata"]["name"]: one for one in read if one.get("kind") == kind and "metadata" in one}


def settings() -> dict[str, str]:
    """What settings.env says."""
    lines = (BASE / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def secrets() -> dict[str, dict[str, str]]:
    """What the template of secrets has, by name."""
    read = yaml.safe_load_all(TEMPLATE.read_text())
    return {one["metadata"]["name"]: one["stringData"] for one in read}


DEPLOYMENTS = documents("Deployment")
SERVICES = documents("Service")


def pod(name: str) -> dict[str, Any]:
    """The pod of a process."""
    return dict(DEPLOYMENTS[name]["spec"]["template"]["spec"])


def container(name: str) -> dict[str, Any]:
    """Its one container."""
    (only,) = pod(name)["containers"]
    return dict(only)


def ports(name: str) -> dict[str, str]:
    """The ports of its container by name, as `8443/tcp`."""
    return {
        port["name"]: f"{port['containerPort']}/{port.get('protocol', 'TCP').lower()}"
        for port in container(name)["ports"]
    }


def configuration() -> Config:
    """What the processes read, with the secrets filled in."""
    filled = dict.fromkeys(secrets()["smartscale"], "redis://redis:6379/0")
    return load(CONFIG, {**settings(), **filled})


def test_there_is_a_deployment_for_each_process_of_the_stack() -> None:
    assert set(DEPLOYMENTS) == set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_it_runs_what_the_stack_runs(name: str) -> None:
    assert container(name)["args"] == OURS[name]["command"]
    assert re.fullmatch(r"\$\{\w+:-(.*)\}", OURS[name]["image"])[1] == container(name)["image"]  # type: ignore[index]


@pytest.mark.parametrize("name", OURS)
def test_it_has_no_right_that_it_does_not_need(name: str) -> None:
    user = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert user is not None
    assert pod(name)["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(user[1]),
        "runAsGroup": int(user[2]),
        "fsGroup": int(user[2]),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": OURS[name]["read_only"],
        "capabilities": {"drop": OURS[name]["cap_drop"]},
    }
    assert pod(name)["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", OURS)
def test_it_listens_where_the_configuration_says(name: str) -> None:
    config = configuration()
    listening = {
        "http": f"{config.listen_addr.rpartition(':')[2]}/tcp",
        "metrics": f"{config.metrics_listen_addr.rpartition(':')[2]}/tcp",
        "derp": f"{config.derp.server.listen_addr.rpartition(':')[2]}/tcp",
        "stun": f"{config.derp.server.stun_listen_addr.rpartition(':')[2]}/udp",
        "grpc": f"{getattr(config.services, name.replace('-', '_')).listen_addr.rpartition(':')[2]}/tcp",
    }
    assert ports(name).items() <= listening.items()
    exposed = re.search(r"^EXPOSE (.*)$", DOCKERFILE, re.MULTILINE)
    assert exposed is not None
    outside = {each if "/" in each else f"{each}/tcp" for each in exposed[1].split()}
    assert {port for label, port in ports(name).items() if label != "grpc"} <= outside


@pytest.mark.parametrize("name", OURS)
def test_it_is_asked_for_its_health_where_it_answers(name: str) -> None:
    probes = {kind: container(name)[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")}
    door = {"path": "/health", "port": "metrics"}
    assert probes["startup"]["httpGet"] == probes["liveness"]["httpGet"] == door
    assert '"/health"' in (ROOT / "services/shared/telemetry/exposition.py").read_text()
    assert {"metrics", "grpc"} - set(ports(name)) == ({"grpc"} if name == "gateway" else set())
    if name == "gateway":
        assert probes["readiness"]["httpGet"] == door
    else:
        assert f"{probes['readiness']['grpc']['port']}/tcp" == ports(name)["grpc"]


@pytest.mark.parametrize("name", OURS)
def test_it_is_in_the_networks_that_it_has_in_the_stack(name: str) -> None:
    labels = DEPLOYMENTS[name]["spec"]["template"]["metadata"]["labels"]
    assert {label.removeprefix(NETWORK) for label in labels if label.startswith(NETWORK)} == set(OURS[name]["networks"])


@pytest.mark.parametrize("name", OURS)
def test_what_it_mounts_is_there(name: str) -> None:
    wanted = {mount["name"] for mount in container(name)["volumeMounts"]}
    assert wanted == {volume["name"] for volume in pod(name)["volumes"]}
    claims = [v["persistentVolumeClaim"]["claimName"] for v in pod(name)["volumes"] if "persistentVolumeClaim" in v]
    assert set(claims) <= set(documents("PersistentVolumeClaim"))
    named = [v["secret"]["secretName"] for v in pod(name)["volumes"] if "secret" in v]
    assert {*named, *(one["secretRef"]["name"] for one in container(name)["envFrom"] if "secretRef" in one)} <= set(
        secrets()
    )


def test_a_gateway_writes_nowhere_but_its_socket_and_reads_the_key_that_all_share() -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in container("gateway")["volumeMounts"]}
    (env,) = container("gateway")["env"]
    assert mounts["socket"] == str(configuration().unix_socket.parent)
    assert env["value"] in {f"{mounts['noise']}/{file}" for file in secrets()["smartscale-noise"]}
    assert env["name"] == variable(("noise", "private_key_path"))


def test_a_relay_keeps_its_key_in_its_volume() -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in container("derp")["volumeMounts"]}
    assert configuration().derp.server.private_key_path.parent == Path(mounts["state"]) == configuration().state_dir


def test_a_gateway_has_the_time_that_its_clients_need_to_go() -> None:
    config = configuration()
    assert pod("gateway")["terminationGracePeriodSeconds"] >= config.gateway.drain_timeout.total_seconds() + 15


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_leads_to_pods_and_ports_that_there_are(name: str) -> None:
    spec = SERVICES[name]["spec"]
    labels = DEPLOYMENTS[name]["spec"]["template"]["metadata"]["labels"]
    assert spec["selector"].items() <= labels.items()
    assert spec["selector"] == DEPLOYMENTS[name]["spec"]["selector"]["matchLabels"]
    for port in spec["ports"]:
        assert ports(name)[port["targetPort"]] == f"{port['port']}/{port.get('protocol', 'TCP').lower()}"


def test_what_the_stack_publishes_has_a_service() -> None:
    published = {
        (name, port.rpartition(":")[2])
        for name, one in OURS.items()
        for port in one.get("ports", ())
        if "9090" not in port
    }
    offered = {
        (name, f"{port['port']}/{port.get('protocol', 'TCP').lower()}")
        for name, one in SERVICES.items()
        for port in one["spec"]["ports"]
        if one["spec"].get("clusterIP") != "None"
    }
    assert offered == published


@pytest.mark.parametrize("called", ["registry", "policy", "auth", "map_streamer"])
def test_callers_find_every_replica_by_the_name_in_the_configuration(called: str) -> None:
    (address,) = getattr(configuration().services, called).addresses
    name, _, port = address.rpartition(":")
    assert SERVICES[name]["spec"]["clusterIP"] == "None"
    assert [str(each["port"]) for each in SERVICES[name]["spec"]["ports"]] == [port]


def test_each_deployment_has_a_budget_that_lets_nodes_be_emptied() -> None:
    budgets = documents("PodDisruptionBudget")
    assert set(budgets) == set(DEPLOYMENTS)
    for name, budget in budgets.items():
        assert budget["spec"] == {"maxUnavailable": 1, "selector": DEPLOYMENTS[name]["spec"]["selector"]}


def test_everything_is_closed_but_the_networks_of_the_stack() -> None:
    policies = {name: one["spec"] for name, one in documents("NetworkPolicy").items()}
    closed = policies.pop("closed")
    assert (closed["podSelector"], closed["policyTypes"]) == ({}, ["Ingress", "Egress"])
    assert {name: spec["podSelector"]["matchLabels"] for name, spec in policies.items()} == {
        name: {NETWORK + name: "member"} for name in COMPOSE["networks"]
    }
    (front,) = policies["front"]["ingress"]
    members = [name for name in SERVICES if "front" in OURS[name]["networks"]]
    doors = {f"{port['port']}/{port.get('protocol', 'TCP')}" for port in front["ports"]}
    assert doors == {
        f"{p['port']}/{p.get('protocol', 'TCP')}" for name in members for p in SERVICES[name]["spec"]["ports"]
    }


def test_the_configuration_is_that_of_the_stack_and_complete() -> None:
    assert yaml.safe_load(CONFIG.read_text()) == yaml.safe_load((ROOT / "deploy/docker/stack.yaml").read_text())
    check_stack(configuration())


def test_each_variable_is_one_that_processes_read_and_secrets_are_in_the_secret() -> None:
    known = {variable(path): is_secret for path, is_secret in keys()}
    assert {name: known.get(name) for name in settings()} == dict.fromkeys(settings(), False)
    assert {name: known.get(name) for name in secrets()["smartscale"]} == dict.fromkeys(secrets()["smartscale"], True)
    assert {*settings(), *secrets()["smartscale"]} == {*OURS["gateway"]["environment"], *NOT_IN_COMPOSE}


def test_the_template_of_secrets_has_no_values() -> None:
    assert {value for one in secrets().values() for value in one.values()} == {""}


@pytest.mark.parametrize("folder", ["base", "ingress", "host-ports"])
def test_kustomization_names_each_file_beside_it(folder: str) -> None:
    listed = yaml.safe_load((KUBERNETES / folder / "kustomization.yaml").read_text())
    named = [*listed.get("resources", ()), *(patch["path"] for patch in listed.get("patches", ()) if "path" in patch)]
    for made in listed.get("configMapGenerator", ()):
        named += [*made.get("files", ()), *made.get("envs", ())]
    assert sorted(named) == sorted(f.name for f in (KUBERNETES / folder).iterdir() if f.name != "kustomization.yaml")


def test_the_ingress_leads_to_the_gateway_and_waits_as_long_as_nginx() -> None:
    (ingress,) = documents("Ingress", KUBERNETES / "ingress").values()
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert path["backend"]["service"] == {
        "name": "gateway",
        "port": {"name": SERVICES["gateway"]["spec"]["ports"][0]["name"]},
    }
    assert settings()["HEADSCALE_SERVER_URL"] == f"https://{rule['host']}"
    waits = [value for key, value in ingress["metadata"]["annotations"].items() if key.endswith("-timeout")]
    assert waits == ["3600", "3600"] and shlex.split(" ".join(ingress["spec"]["tls"][0]["hosts"])) == [rule["host"]]
