"""Every command of Headscale and of the guide, wrongly used."""

from __future__ import annotations

from tests.flow.cli.uses import AUTH_ID, SHELLS, Use, misuse, wrong

WRONG: dict[str, tuple[Use, ...]] = {
    "version": (misuse("version now", "unexpected argument 'now'"),
                misuse("version -o xml", "not one of: json, json-line"),),
    "configtest": (wrong("configtest -c nowhere.yaml", "nowhere.yaml"), wrong("configtest -c {bad}", "acls")),
    "health": (misuse("health --process nothing", "not one of: gateway"),
               wrong("health -c nowhere.yaml", "nowhere.yaml")),
    "users create": (
        misuse("users create", "name"), wrong("users create root", "exists"), wrong("users create Not~A~Name", "name"),
        wrong("users create {name} -p javascript:1", "url"),
        wrong("users create --", "name", 2), wrong("users create \x1b[31m", "name"),
    ),
    "users list": (
        misuse("users list -i abc", "not an id"), misuse("users list --identifier -1", "not an id"),
        wrong("users show nobody@example.com", "user not found"),
        misuse("users list --nme x", "unknown option --nme; did you mean '--name'"),
    ),
    "users destroy": (
        misuse("users destroy --force", "which user?"), wrong("users destroy nobody --force", "user not found"),
        wrong("users destroy -i 999999 --force", "user not found"), wrong("users destroy root --force", "node"),
        wrong("users destroy {user}", "add --force"),
    ),
    "users rename": (
        misuse("users rename", "which new name?"), wrong("users rename {user} root", "exists"),
        wrong("users rename nobody {name}", "user not found"), wrong("users rename {user} 1~2", "name"),
    ),
    "nodes list": (
        wrong("nodes list -u nobody", "user not found"), misuse("nodes list --columns nonsense", "no such column"),
        wrong("nodes list nowhere", "node not found"), misuse("nodes lists", "did you mean 'list'"),
    ),
    "nodes set-ip": (
        misuse("nodes set-ip -i {node}", "ADDRESS"), wrong("nodes set-ip -i {node} 10.0.0.1", "outside"),
        wrong("nodes set-ip -i {node} 100.64.9.3 100.64.9.4", "more than one"),
        wrong("nodes set-ip -i nowhere 100.64.9.3", "node not found"),
    ),
    "nodes list-routes": (
        wrong("nodes list-routes -i nowhere", "node not found"), misuse("nodes list-routes -i", "expected one"),
    ),
    "nodes register": (
        misuse("nodes register -k x", "--user"), misuse("nodes register -u root", "--key"),
        wrong("nodes register -u root -k nonsense", "auth id"),
        wrong("nodes register -u nobody -k {login}", "user not found"),
        wrong(f"nodes register -u root -k {AUTH_ID}", "not found"),
    ),
    "nodes expire": (
        misuse("nodes expire", "--identifier"), wrong("nodes expire -i 999999", "node not found"),
        misuse("nodes expire -i 1 -e tomorrow", "not a time"),
        misuse("nodes expire -i 1 -e 2040-01-31T12:00:00", "time zone"),
        misuse("nodes expire -i {nodeid} -d -e 2040-01-31T12:00:00Z", "exclude"),
    ),
    "nodes rename": (
        misuse("nodes rename -i 1", "NEW_NAME"), misuse("nodes rename x", "--identifier"),
        wrong("nodes rename -i {nodeid} Not~A~Label", "name"), wrong("nodes rename -i {nodeid} laptop", "name"),
        wrong("nodes rename -i nowhere x", "node not found"),
    ),
    "nodes delete": (
        misuse("nodes delete --force", "--identifier"), wrong("machines delete --id 999999 --force", "node not found"),
        wrong("nodes delete -i {nodeid}", "add --force"),
    ),
    "nodes tag": (
        misuse("nodes tag -i 1", "--tags"), wrong("nodes tag -i {nodeid} -t web", "tag"),
        wrong("nodes tag -i {nodeid} -t tag:none", "tag:none"),
        wrong("nodes tag -i nowhere -t tag:web", "node not found"), wrong("nodes tag -i {nodeid} -t ,", "tags"),
    ),
    "nodes approve-routes": (
        misuse("nodes approve-routes -r 10.0.0.0/8", "--identifier"),
        wrong("nodes approve-routes -i {nodeid} -r nonsense", "route"),
        wrong("nodes approve-routes -i nowhere -r 10.0.0.0/8", "node not found"),
    ),
    "nodes backfillips": (
        wrong("nodes backfillips", "add --force"), misuse("nodes backfillips now --force", "unexpected argument"),
    ),
    "nodes key": (
        misuse("nodes key rotate", "--identifier"), misuse("nodes key turn --id 1", "not one of: rotate"),
        misuse("nodes key --id 1", "rotate"),
        wrong("nodes key rotate --id 999999", "node not found"),
    ),
    "nodes move": (misuse("nodes move -i 1", "--user"), wrong("nodes move -i nowhere -u root", "node not found"),
                   wrong("nodes move -i {nodeid} -u nobody", "user not found")),
    "auth list": (misuse("auth list now", "unexpected argument"), misuse("auth --all", "--all")),
    "auth register": (
        misuse("auth register --auth-id x", "--user"), misuse("auth register -u root", "--auth-id"),
        wrong("auth register --auth-id nonsense -u root", "auth id"),
        wrong(f"auth register --auth-id {AUTH_ID} -u root", "not found"),
        wrong("auth register --auth-id {login} -u nobody", "user not found"),
        wrong("auth register --auth-id {session} -u root", "not found"),
    ),
    "auth approve": (
        misuse("auth approve", "--auth-id"), wrong("auth approve --auth-id nonsense", "auth id"),
        wrong(f"auth approve --auth-id {AUTH_ID}", "not found"),
        wrong("auth approve --auth-id {login}", "needs an owner"),
    ),
    "auth reject": (
        misuse("auth reject", "--auth-id"), wrong("auth reject --auth-id nonsense", "auth id"),
        wrong(f"auth reject --auth-id {AUTH_ID}", "not found"),
    ),
    **{
        f"routes {verb}": (
            misuse(f"routes {verb}", "either a number"), misuse(f"routes {verb} -r 1 -i 1", "either a number"),
            wrong(f"routes {verb} -r 999999", "route not found"), wrong(f"routes {verb} -i nowhere", "node not found"),
        )
        for verb in ("prefer", "unprefer")
    },
    "routes list": (wrong("routes list -i nowhere", "node not found"), misuse("routes list -i", "expected one")),
    **{
        f"routes {verb}": (
            misuse(f"routes {verb} --force", "--route"), misuse(f"routes {verb} -r abc --force", "not an id"),
            wrong(f"routes {verb} -r 999999 --force", "route not found"),
        )
        for verb in ("enable", "disable", "delete")
    },
    "preauthkeys create": (
        misuse("preauthkeys create", "needs an owner"), misuse("preauthkeys create -u root -e soon", "not a duration"),
        misuse("preauthkeys create -u root --ip 100.64.0.7 --ip 100.64.0.8", "one IPv4 and one IPv6 address"),
        wrong("preauthkeys create -u root --ip 192.0.2.7", "outside of 100.64"),
        wrong("preauthkeys create -u root --ip 100.64.0.7 --reusable", "a reusable key cannot give it"),
        wrong("preauthkeys create -u nobody", "user not found"), wrong("preauthkeys create --tags web", "tag"),
    ),
    "preauthkeys list": (
        wrong("preauthkeys list -u nobody", "user not found"), misuse("preauthkeys list now", "unexpected argument"),
    ),
    **{
        f"preauthkeys {verb}": (
            misuse(f"preauthkeys {verb} --force", "which key?"),
            misuse(f"preauthkeys {verb} -i abc --force", "not an id"),
            wrong(f"preauthkeys {verb} -i 999999 --force", "not found"),
            wrong(f"preauthkeys {verb} hskey-auth-x-y --force", "not found"),
            wrong(f"preauthkeys {verb} {{secret}} -u {{user}} --force", "not found"),
        )
        for verb in ("expire", "delete")
    },
    "apikeys create": (
        misuse("apikeys create -e soon", "not a duration"),
        wrong("apikeys create --scopes shoes", "shoes"),
        misuse("apikeys create now", "unexpected argument"),
    ),
    "apikeys list": (misuse("apikeys list -i 1", "unknown option -i"),),
    **{
        f"apikeys {verb}": (
            misuse(f"apikeys {verb} --force", "--prefix"),
            misuse(f"apikeys {verb} -p a -i 1 --force", "not allowed with"),
            wrong(f"apikeys {verb} -p nonsense --force", "not found"),
            wrong(f"apikeys {verb} -i 999999 --force", "not found"),
        )
        for verb in ("expire", "delete")
    },
    "policy get": (
        misuse("policy get x", "not an id"), wrong("policy get 999999", "no"),
        wrong("-c nowhere.yaml policy get --bypass-grpc-and-access-database-directly", "nowhere.yaml"),
    ),
    "policy set": (
        misuse("policy set", "which file?"), wrong("policy set -f {bad}", "maybe"),
        wrong("acls set nowhere.yaml", "nowhere.yaml"),
        wrong("-c {config} policy set -f {bad} --bypass-grpc-and-access-database-directly --force", "maybe"),
        wrong("-c {config} policy set -f {policy} --bypass-grpc-and-access-database-directly", "add --force"),
    ),
    "policy check": (
        misuse("policy check", "which file?"), wrong("policy check -f {bad}", "maybe"),
        wrong("policy check -f nowhere", "nowhere"),
    ),
    "backup create": (
        misuse("backup create", "FILE"),
        wrong("-c {config} backup create {backup}", "add --force"),
        wrong("-c nowhere.yaml backup create {folder}", "nowhere.yaml"),
    ),
    "backup verify": (
        misuse("backup verify", "FILE"),
        wrong("backup verify nowhere", "nowhere"),
        wrong("backup verify {bad}", "bad.hujson"),
    ),
    "backup restore": (
        misuse("backup restore", "FILE"),
        wrong("-c nowhere.yaml backup restore {backup}", "nowhere.yaml"),
        wrong("-c {config} backup restore {backup}", "stop"),
    ),
    "db check": (misuse("db check now", "unexpected argument"), wrong("-c nowhere.yaml db check", "nowhere.yaml")),
    "oauth-clients create": (
        misuse("oauth-clients create", "--scopes"), misuse("oauth-clients create -s all x", "unexpected argument"),
        wrong("oauth-clients create -s shoes", "shoes"), wrong("oauth-clients create -s auth_keys", "tag"),
        wrong("oauth-clients create -s dns -t web", "tag:"),
    ),
    "oauth-clients list": (misuse("oauth-clients list x", "unexpected argument"),),
    "oauth-clients delete": (misuse("oauth-clients delete", "--id"), wrong("oauth-clients delete -i 1", "not found")),
    "dns show": (misuse("dns show x", "unexpected argument"),),
    "dns set": (
        wrong("dns set", "nothing to set"), wrong("dns set --split corp", "DOMAIN=SERVERS"),
        wrong("dns set --nameservers x", "neither an IP address"), misuse("dns set --magic-dns maybe", "magic-dns"),
    ),
    "dns reset": (misuse("dns reset shoes", "shoes"),),
    "audit list": (misuse("audit list --limit 0", "limit"), misuse("audit list x", "unexpected argument")),
    "audit export": (misuse("audit export x", "unexpected argument"),),
    "audit verify": (misuse("audit verify x", "unexpected argument"),),
    "generate private-key": (
        misuse("generate private-key x", "unexpected argument"), misuse("generate public-key", "unknown command"),
    ),
    "generate config": (misuse("generate config x", "unexpected argument"),),
    "debug create-node": (
        misuse("debug create-node --user root --key x", "--name"),
        misuse("debug create-node --name x --key y", "--user"),
        wrong("debug create-node --name x --user root --key nonsense", "auth id"),
        wrong("debug create-node --name x --user root --key {login}", "exists"),
        wrong("debug create-node --name x --user nobody --key {free}", "user not found"),
        wrong("debug create-node --name x --user root --key {free} -r nonsense", "CIDR"),
    ),
    "dumpConfig": (wrong("dumpConfig -c nowhere.yaml", "nowhere.yaml"),),
    "mockoidc": (misuse("mockoidc", "MOCKOIDC_ADDR not defined"),),
    "serve": (misuse("serve nonsense", "not one of: gateway, registry"),
              wrong("serve -c nowhere.yaml", "nowhere.yaml")),
    **{f"completion {shell}": (misuse(f"completion {shell} x", "unexpected argument"),) for shell in SHELLS},
    "help": (
        misuse("help nonsense", "unknown command"), misuse("nonsense", "unknown command"),
        misuse("users nonsense", "unknown"),
    ),
    "man": (misuse("man", "DIR"), wrong("man /proc/nowhere", "/proc")),
}  # fmt: skip
"""Unknown ids and names, garbage, missing and contradicting options; nothing may change by them."""
