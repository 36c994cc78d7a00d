"""schemathesis over our OpenAPI document, links followed: no server error and no break of the contract.

`positive_data_acceptance` is left out: whether a text is a policy, a CIDR or a tag of the policy, no schema says.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.admin.rest.v1.operations import EVERY
from gateway.admin.rest.v2.router import OPERATIONS as V2
from tests.e2e.alone import Alone

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
POLICY = '{"tagOwners": {"tag:web": []}, "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}'
KEYS = 100


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    server = Alone(tmp_path_factory.mktemp("schemathesis"))
    try:
        _fill(server)
        yield server
    finally:
        server.close()


def _fill(alone: Alone) -> None:
    for number in range(1, 4):
        assert alone.ask("POST", "/api/v1/user", {"name": f"user{number}"})[0] == 200
        assert alone.ask("POST", "/api/v1/preauthkey", {"user": str(number)})[0] == 200
        login = f"hskey-authreq-{number:024x}"
        assert alone.ask("POST", "/api/v1/debug/node", {"user": "user1", "key": login, "name": "web"})[0] == 200
        assert alone.ask("POST", "/api/v1/auth/register", {"user": "user1", "authId": login})[0] == 200
    assert alone.ask("PUT", "/api/v1/policy", {"policy": POLICY})[0] == 200


@pytest.mark.parametrize(("version", "operations", "examples"), [("v1", len(EVERY), "20"), ("v2", len(V2) + 1, "3")])
def test_nothing_that_the_document_allows_or_forbids_breaks_the_server_or_the_contract(
    alone: Alone, version: str, operations: int, examples: str
) -> None:
    # Calls that end and forget API keys are tried too: ours is not among the first, which are guessed.
    key = [alone.new_key() for _ in range(KEYS)][-1]
    done = subprocess.run(
        [
            SCHEMATHESIS, "run", f"{alone.url}/api/{version}/openapi.json", "--tls-verify", str(alone.certificate),
            "-H", f"Authorization: Bearer {key}", "--phases", "examples,coverage,fuzzing,stateful",
            "--exclude-checks", "positive_data_acceptance",
            "--max-examples", examples, "--seed", "29", "--no-color",
        ],
        capture_output=True, text=True, timeout=300, check=False, cwd=alone.folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-12000:] + done.stderr
    assert f"{operations} selected / {operations} total" in done.stdout
    assert version == "v2" or ("API Links:" in done.stdout and "0 covered" not in done.stdout)
    assert alone.faults() == []
    assert alone.ask("GET", "/api/v1/health", key=key) == (200, {"databaseConnectivity": True})
