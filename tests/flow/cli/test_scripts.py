"""Scripts and templates as people publish them: each runs unchanged and finds what it finds with Headscale 0.29."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
import pytest_asyncio
from headscale.v1 import policy_pb2

from tests.fakes.tailnet import config_in, tailnet_in
from tests.flow.cli.world import TAGS, World

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed"),
]


OWNED = TAGS.replace('"tag:web": ["root@"]', '"tag:web": [], "tag:db": []')


class Script(NamedTuple):
    """A shell script, and what it prints."""

    text: str
    prints: str


READING = [
    Script(
        "headscale nodes list -o json | jq -r '.[] | \"\\(.id) \\(.given_name) \\(.ip_addresses[0])\"'",
        "1 web 100.64.0.1\n2 db 100.64.0.2\n",
    ),
    Script("headscale nodes list --output json | jq -r '.[] | select(.user.name == \"ada\") | .id'", "1\n2\n"),
    Script("headscale nodes list --output=json | jq '[.[] | select(.online)] | length'", "2\n"),
    Script("headscale -o=json node ls | jq '.[0].id + 1'", "2\n"),
    Script("headscale node list -ojson | jq -r '.[].name' | sort | head -1", "db\n"),
    Script("headscale nodes list -o json-line | jq -r '.[0].user.id'", "1\n"),
    Script(
        "headscale nodes list --user ada -o json | jq -r '.[] | select(.register_method == 1) | .given_name'",
        "web\ndb\n",
    ),
    Script("headscale nodes list -o json | jq -r '.[] | .last_seen.seconds | todate' | cut -c1-2 | sort -u", "20\n"),
    Script("headscale nodes list -o json | jq -r '.[] | select(.expiry.seconds > now) | .id'", ""),
    Script("headscale nodes list -o json | jq -r '.[] | has(\"expiry\")' | sort -u", "false\n"),
    Script("headscale nodes list -o json | jq -r '.[] | .tags // [] | length'", "0\n0\n"),
    Script("headscale nodes list -o json | python3 -c 'import json,sys; print(len(json.load(sys.stdin)))'", "2\n"),
    Script("headscale users list -o json | jq -r '.[] | select(.name==\"ada\") | .id'", "1\n"),
    Script("USER_ID=$(headscale users list -n ada -o json | jq '.[0].id'); echo \"$USER_ID\"", "1\n"),
    Script("headscale users list --output json | jq -e '.[] | .created_at.seconds | type' ", '"number"\n'),
    Script("headscale namespaces list -o json | jq -r '.[].name'", "ada\n"),
    Script("headscale users list | awk 'NR>1 {print $1}'", "1\n"),
    Script("headscale nodes list-routes -o json | jq length", "0\n"),
    Script("headscale version -o json | jq -r .version", "v0.29.2\n"),
    Script("headscale health >/dev/null && echo up", "up\n"),
    Script("headscale health -o json | jq .database_connectivity", "true\n"),
    Script("headscale policy get | head -c 12", '{"tagOwners"'),
    Script("headscale nodes list -o yaml | grep -c givenname", "2\n"),
    Script("headscale users list -o json | jq -r '.[] | .email // \"none\"'", "none\n"),
    Script("headscale nodes list --namespace ada -o json | jq length", "2\n"),
    Script("headscale nodes list -u nobody -o json 2>/dev/null || echo failed", "failed\n"),
    Script('FORMAT=; headscale users list -o "$FORMAT" | grep -c ada', "1\n"),
    Script("headscale --output= users list | grep -c ada", "1\n"),
    Script("headscale nodes list --help | grep -c '^usage: headscale nodes list'", "1\n"),
    Script("headscale nodes -o json list -u=ada | jq length", "2\n"),
    Script("headscale preauthkeys list -u=1 --output=json-line | wc -l", "1\n"),
]
MAKING = [
    Script("headscale users create svc1 -o json | jq -r .name", "svc1\n"),
    Script("headscale users create svc2 --force >/dev/null; headscale user ls -o json | jq -r '.[-1].name'", "svc2\n"),
    Script("headscale --user 1 preauthkeys create --reusable --expiration 24h | cut -c1-11", "hskey-auth-\n"),
    Script("headscale preauthkeys --user 1 create --reusable -e 24h -o json | jq .reusable", "true\n"),
    Script("headscale preauthkeys create --user=1 --reusable=true --ephemeral=F -o json | jq '.reusable,.ephemeral'",
           "true\nnull\n"),
    Script("headscale preauthkeys create -u 1 --reusable false 2>/dev/null || echo refused", "refused\n"),
    Script("headscale preauthkeys create -u 1 --reusable=t --ephemeral=0 -o json | jq '.reusable,.ephemeral'",
           "true\nnull\n"),
    Script("headscale preauthkeys create -u1 -e1h --ephemeral=TRUE -o json | jq .ephemeral", "true\n"),
    Script("headscale preauthkeys create --user 1 --reusable true -o json | jq .reusable", "true\n"),
    Script("headscale preauthkeys new -u 1 --tags tag:web,tag:db -o json | jq -r '.acl_tags[]'", "tag:db\ntag:web\n"),
    Script("headscale preauthkeys create -u 1 --tags=tag:web --tags=tag:db -o json | jq -c .acl_tags",
           '["tag:db","tag:web"]\n'),
    Script("headscale authkey create -n ada -o json | jq -r '.user.name'", "ada\n"),
    Script("headscale preauthkeys create -o json --user 1 | jq -r .key | wc -c", "89\n"),
    Script("KEY=$(headscale apikeys create --expiration 90d); echo ${#KEY}", "87\n"),
    Script("headscale apikeys create -o json | jq -r . | cut -c1-10", "hskey-api-\n"),
    Script("P=$(headscale apikeys list -o json | jq -r '.[0].prefix')"
           " && headscale apikeys expire --prefix \"$P\" >/dev/null"
           " && headscale apikeys list -o json | jq '.[0].expiration.seconds <= now'", "true\n"),
    Script("headscale apikeys list -o json | jq -r '.[] | select(.expiration.seconds < now) | .id' | wc -l", "1\n"),
    Script("ID=$(headscale preauthkeys list -o json | jq '.[0].id'); headscale preauthkeys expire -i $ID"
           " && echo done", "pre-auth key 1 has expired\ndone\n"),
    Script("headscale nodes rename -i 2 DB-Server -o json | jq -r .given_name", "db-server\n"),
    Script("headscale nodes rename --identifier 2 -- db2 >/dev/null && echo ok", "ok\n"),
    Script("headscale nodes tag -i 2 -t tag:web -o json | jq -c .tags", '["tag:web"]\n'),
    Script("headscale nodes expire -i 1 -o json | jq '.expiry.seconds <= now'", "true\n"),
    Script("headscale nodes expire --identifier=1 --force -o json | jq -r .given_name", "web\n"),
    Script("headscale nodes list -o json | jq -r '.[] | select(.expiry.seconds < now and .expiry) | .id'", "1\n"),
    Script("headscale --force nodes delete -i 1 -o json | jq -r .Result", "Node deleted\n"),
    Script("yes | headscale nodes delete -i 2 >/dev/null && headscale nodes list -o json | jq length", "0\n"),
]  # fmt: skip


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A server with a user and two nodes."""
    folder = tmp_path_factory.mktemp("server")
    async with tailnet_in(folder, config_in(folder, admin_calls_per_second=1000)) as tailnet:
        await tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=OWNED))
        key = await tailnet.auth_key(await tailnet.user("ada"))
        for name in ("web", "db"):
            await tailnet.device(name).join(key)
        yield World(tailnet, folder, "")


async def test_scripts_find_what_they_look_for(world: World) -> None:
    wrong = []
    for script in (*READING, *MAKING):
        answer = await world.script(script.text)
        if answer.out != script.prints:
            wrong.append((script.text, script.prints, answer.out, answer.err))
    assert not wrong, "\n".join(map(str, wrong))
