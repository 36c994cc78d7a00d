"""Secrets in files, credentials and variables: which wins, and what contradicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.shared.config import ConfigError, load
from services.shared.config.environment import keys, variable
from tests.unit.config.reading import URL, value_at

SECRETS = [path for path, secret in keys() if secret]


def fitting(path: tuple[str, ...]) -> str:
    """A value that the key's own rules let pass."""
    return {"mesh_key": "ab" * 32, "url": "redis://:pw@h"}.get(path[-1], "s3cret")


@pytest.mark.parametrize("path", SECRETS, ids=".".join)
def test_a_secret_may_come_from_a_file_that_a_variable_names(tmp_path: Path, path: tuple[str, ...]) -> None:
    (tmp_path / "s").write_text(fitting(path) + "\n")
    config = load(None, {"HEADSCALE_SERVER_URL": URL, f"{variable(path)}_FILE": str(tmp_path / "s")})
    assert value_at(config, path) == fitting(path) and fitting(path) not in repr(config)


@pytest.mark.parametrize("path", SECRETS, ids=".".join)
def test_a_secret_may_be_a_systemd_credential(tmp_path: Path, path: tuple[str, ...]) -> None:
    for name in (".".join(path), variable(path)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text(fitting(path) + "\n")
        config = load(None, {"HEADSCALE_SERVER_URL": URL, "CREDENTIALS_DIRECTORY": str(folder)})
        assert value_at(config, path) == fitting(path)


def test_a_variable_wins_over_a_credential_and_a_credential_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"server_url: {URL}\nservices:\n  token: file\n")
    (tmp_path / "services.token").write_text("credential")
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert load(tmp_path / "config.yaml", {}).services.token == "file"
    assert load(tmp_path / "config.yaml", env).services.token == "credential"
    assert load(tmp_path / "config.yaml", {**env, "HEADSCALE_SERVICES_TOKEN": "variable"}).services.token == "variable"


def test_a_secret_in_a_variable_and_in_its_file_is_a_contradiction(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("x")
    env = {"HEADSCALE_SERVER_URL": URL, "HEADSCALE_CLI_API_KEY": "a", "HEADSCALE_CLI_API_KEY_FILE": str(tmp_path / "s")}
    with pytest.raises(ConfigError, match="so is HEADSCALE_CLI_API_KEY_FILE — keep one of them"):
        load(None, env)


def test_a_secret_file_that_cannot_be_read_is_named_and_its_variable_too(tmp_path: Path) -> None:
    env = {"HEADSCALE_SERVER_URL": URL, "HEADSCALE_OIDC_CLIENT_SECRET_FILE": str(tmp_path / "none")}
    with pytest.raises(
        ConfigError, match=r"HEADSCALE_OIDC_CLIENT_SECRET_FILE: oidc\.client_secret: .*none cannot be read"
    ):
        load(None, env)


def test_the_path_of_a_secret_may_name_the_folder_of_credentials(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        f"server_url: {URL}\noidc:\n  client_secret_path: ${{CREDENTIALS_DIRECTORY}}/oidc\n"
    )
    config = load(tmp_path / "config.yaml", {"CREDENTIALS_DIRECTORY": "/run/credentials/x"})
    assert config.oidc.client_secret_path == Path("/run/credentials/x/oidc")
