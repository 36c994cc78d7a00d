"""Every command of Headscale and of the guide, rightly and wrongly used.

Words in braces are made afresh for each use (see `World.fill`); `~` stands for a blank in a word.
"""

from __future__ import annotations

from typing import NamedTuple


class Use(NamedTuple):
    """A command, and what it does."""

    words: str
    says: str = ""
    """Is in the standard output; of a wrong use, in the standard error."""
    changes: bool = False
    status: int = 0
    beside: str = ""
    """What must be there for it, as a placeholder of `World.fill`."""


def wrong(words: str, says: str, status: int = 1) -> Use:
    """A use that is refused."""
    return Use(words, says, False, status)


def misuse(words: str, says: str) -> Use:
    """A use that is refused before any server is asked."""
    return Use(words, says, False, 2)


SHELLS = ("bash", "zsh", "fish", "powershell")
AUTH_ID = "hskey-authreq-ffffffffffffffffffffffff"

RIGHT: dict[str, tuple[Use, ...]] = {
    "version": (Use("version", "headscale version v0.29.2\n"), Use("version -o json", '"version": "v0.29.2"'),
                Use("version -o yaml", "version:")),
    "configtest": (Use("configtest -c {config}", ": ok"),),
    "health": (Use("health", "ok\n"), Use("health -o json --modern", '"databaseConnectivity": true'),
               Use("health -o json", '"database_connectivity": true')),
    "users create": (
        Use("users create {name} -d Somebody~Else -e {name}@example.com -p https://example.com/a.png", "created", True),
        Use("namespaces create {name}", "created", True), Use("user c {name}", "created", True),
        Use("ns new {name} -o json-line --modern", '"displayName":""', True),
        Use("namespace create {name} -o yaml", "providerid: ''", True),
    ),
    "users list": (
        Use("users list", "Name"), Use("users ls -o json", '"name": "root"'),
        Use("users show root@example.com", "root"),
        Use("users list -i 1", "root"), Use("users list -n root", "root"),
        Use("users list -e root@example.com", "root"),
        Use("users list --name nobody -o json", "[]"), Use("users list -o json --historic", '"id": 1'),
        Use("namespaces list", "root"), Use("--modern -o yaml users list", "displayName:"),
    ),
    "users show": (
        Use("users show", "root@example.com"), Use("users show -n root -o json", '"created_at"'),
        Use("namespaces show --identifier 1", "root"), Use("users show root@example.com", "standing"),
    ),
    "users destroy": (
        Use("users destroy {user} --force", "deleted", True), Use("users destroy -i {userid} --force", "deleted", True),
        Use("users delete --name {user} --force", "deleted", True), Use("--force ns destroy {email}", "deleted", True),
    ),
    "users rename": (
        Use("users rename {user} {name}", "is now", True), Use("users rename -i {userid} -r {name}", "is now", True),
        Use("users mv -n {user} --new-name {name} -o json", '"name": "n', True),
        Use("users rename {email} {name}", "is now", True),
    ),
    "nodes list": (
        Use("nodes list", "MachineKey"), Use("machines list", "laptop"), Use("machine ls -t", "laptop"),
        Use("node show -o json --modern", '"givenName": "laptop"'), Use("nodes list --user root@example.com", "laptop"),
        Use("nodes list -n 1", "laptop"), Use("nodes list --wide", "1.90.9"),
        Use("nodes list laptop -o json-line", "laptop"),
        Use("nodes list -w -o json", '"clientVersion": "1.90.9-t0"'),
        Use("nodes list --columns id,name,system", "System"),
        Use("nodes list -o json", '"given_name": "laptop"'),
        Use("nodes list -w -o yaml", "varyingMappings: true"),
        Use("nodes list --columns Name,connectivity", "derp 7, 1 endpoint, no udp, hard nat, upnp"),
    ),
    "nodes list-routes": (
        Use("nodes list-routes", "Available"), Use("nodes lsr -i {router}", "10.1.0.0/24"),
        Use("nodes routes -i {router} -o json", '"0.0.0.0/0"'),
    ),
    "nodes register": (
        Use("nodes register --user {email} --key {login}", "registered", True),
        Use("nodes register --namespace {user} -k {login} -o json", '"register_method": 2', True),
    ),
    "nodes expire": (
        Use("nodes expire -i {node}", "ends", True), Use("machines logout --identifier {nodeid}", "ends", True),
        Use("nodes exp --id {nodeid} -e 2040-01-31T12:00:00Z", "ends 2040-01-31 12:00:00 UTC", True),
        Use("nodes e -i {nodeid} -d -o json --modern", '"expiry": null'),
    ),
    "nodes rename": (
        Use("nodes rename -i {node} {name}", "is now n", True),
        Use("machine rename {name} --identifier {nodeid}", "", True),
    ),
    "nodes delete": (
        Use("machines delete --id {nodeid} --force", "deleted", True),
        Use("nodes del -i {node} --force", "deleted", True),
        Use("nodes delete -i {nodeid} --force -o json", '"Result": "Node deleted"', True),
        Use("nodes delete -i {nodeid} --force -o json --modern", '"givenName"', True),
    ),
    "nodes tag": (
        Use("nodes tag -i {node} -t tag:web", "tag:web", True),
        Use("nodes t -i {nodeid} --tags tag:web -o json", "tag:web", True),
        Use("nodes tags -i {nodeid} -t tag:web,tag:web", "tag:web", True),
    ),
    "nodes approve-routes": (
        Use("nodes approve-routes -i {router} -r 10.1.0.0/24", "10.1.0.0/24", True),
        Use("nodes approve-routes -i {router} -r 10.1.0.0/24,0.0.0.0/0 -o json", "::/0", True),
        Use("nodes approve-routes -i {router} --routes=", "none"), Use("nodes approve-routes -i {router}", "none"),
    ),
    "nodes set-ip": (
        Use("nodes set-ip -i {node} 100.64.9.1", "100.64.9.1", True),
        Use("nodes set-ip -i {nodeid} 100.64.9.2 fd7a:115c:a1e0::99 -o json", "fd7a:115c:a1e0::99", True),
    ),
    "nodes backfillips": (
        Use("nodes backfillips --force", "nothing to do"), Use("nodes backfillips --force -o json", "{}"),
    ),
    "nodes key": (
        Use("nodes key rotate --id {nodeid}", "makes a new one when its user signs in again", True),
        Use("nodes key rotate -i {node} -o json", '"expiry": {', True),
    ),
    "auth list": (Use("auth list", "Auth id"), Use("auth ls -o json", "[")),
    "auth register": (
        Use("auth register --auth-id {login} --user {user}", "registered", True),
        Use("auth register --auth-id {login} -u {email} -o json", '"given_name"', True),
    ),
    "auth reject": (
        Use("auth reject --auth-id {login}", "rejected", True),
        Use("auth reject --auth-id {login} -o json", "{}", True),
        Use("auth reject --auth-id {session}", "rejected", True),
    ),
    "routes list": (
        Use("routes list", "Prefix"), Use("route ls -i {router} -o json --modern", '"advertised": true'),
        Use("r show", "Prefix"),
    ),
    "routes enable": (
        Use("routes enable -r {route}", "10.1.0.0/24 of", True),
        Use("routes enable --route {route} -o json", "10.1.0.0/24", True),
    ),
    "routes prefer": (
        Use("routes prefer -i {served} -p 10.1.0.0/24", "is preferred for 10.1.0.0/24"),
        Use("routes prefer -i {served} -o json", '"preferredRoutes"'),
    ),
    "routes unprefer": (Use("routes unprefer -i {router}", "no longer preferred"),),
    "routes disable": (Use("routes disable -r {route}", "is no longer approved"),),
    "routes delete": (Use("routes delete -r {route}", "is no longer approved"),),
    "preauthkeys create": (
        Use("preauthkeys create --user root@example.com", "hskey-auth-", True),
        Use("preauthkeys create --user 1 --reusable --ephemeral -e 90d --tags tag:web", "hskey-auth-", True),
        Use("authkey c -n root --expiration 1h30m -o json --modern", '"reusable": false', True),
        Use("pre new --namespace root -o json", '"user": {', True),
        Use("--user root preauthkeys create --reusable=true --ephemeral=false", "hskey-auth-", True),
        Use("preauthkeys create --user 1 --ip 100.64.77.7,fd7a:115c:a1e0::77", "hskey-auth-", True),
        Use("preauthkey create --tags tag:web", "hskey", True),
    ),
    "preauthkeys list": (
        Use("preauthkeys list", "Expiration"), Use("preauthkeys ls --user {user} -o json", "[]"),
        Use("pre show -n root -o yaml", ""),
    ),
    "preauthkeys expire": (
        Use("preauthkeys expire --id {key}", "expired", True),
        Use("preauthkeys expire {secret} --user root", "expired", True),
        Use("preauthkeys revoke {key}", "expired", True),
        Use("preauthkeys exp -i {key} -o json --modern", '"id"', True),
        Use("preauthkeys e {secret}", "expired", True),
        Use("preauthkeys expire -i {key} -o json", "{}", True),
    ),
    "preauthkeys delete": (
        Use("preauthkeys delete --id {key}", "deleted", True),
        Use("preauthkeys del {key} --force", "deleted", True),
        Use("preauthkeys rm -i {key} --force -o yaml", "{}", True),
        Use("preauthkeys d {secret} --force", "deleted", True),
    ),
    "apikeys create": (
        Use("apikeys create", "hskey-api-", True),
        Use("apikeys create --scopes dns:read -d x", "hskey-api-", True),
        Use("apikey c -e 24h -o json", '"hskey-api-', True),
        Use("api new", "hskey", True),
    ),
    "apikeys list": (
        Use("apikeys list", "Prefix"), Use("api ls -o json --modern", '"lastSeen"', beside="{apikey}"),
        Use("apikey show -o json", '"seconds"'),
    ),
    "apikeys expire": (
        Use("apikeys expire --prefix {apikey}", "expired", True),
        Use("apikeys revoke -i {apikeyid}", "expired", True),
        Use("apikeys expire -p hskey-api-{apikey}-***", "expired", True),
        Use("apikeys exp -p {apikey} -o json", "{}", True), Use("apikeys e --id {apikeyid}", "expired", True),
    ),
    "apikeys delete": (
        Use("apikeys delete --prefix {apikey}", "deleted", True),
        Use("apikeys remove -i {apikeyid} --force", "deleted", True),
        Use("apikeys del -p {apikey} --force -o json --modern", "id", True),
    ),
    "policy get": (
        Use("policy get", "acls"), Use("acls show", "acls"), Use("policy view -o json --modern", '"updatedAt"'),
        Use("policy get -o json", '{"tagOwners"'),
        Use("policy fetch 1", "acls"),
        Use("-c {config} policy get --bypass-grpc-and-access-database-directly", "acls"),
        Use("-c {config} policy get --bypass-server-and-access-database-directly", "acls"),
    ),
    "policy set": (
        Use("policy set -f {policy}", "policy set", True), Use("acls set {policy}", "policy set", True),
        Use("policy put --file {policy} -o json", '"number"', True),
        Use("policy update {policy} --reason why", "policy set", True),
        Use("-c {config} policy set {policy} --bypass-grpc-and-access-database-directly --force", "policy set", True),
    ),
    "policy check": (
        Use("policy check -f {policy}", "valid"), Use("acls check {policy} -o json", "warnings"),
        Use("policy check --offline {policy}", "valid"),
        Use("-c {config} policy check -f {policy} --bypass-server-and-access-database-directly", "valid"),
    ),
    "backup create": (
        Use("-c {config} backup create {folder}", "it holds private keys: keep it safe"),
        Use("-c {config} backup create {backup} --force", "written to"),
        Use("-c {config} backup create {folder} -o json", '"created"'),
    ),
    "backup verify": (
        Use("backup verify {backup}", "is whole"),
        Use("backup verify {backup} -o json", '"version"'),
    ),
    "db check": (Use("-c {config} db check", "ok\n"), Use("-c {config} db check -o json", '"faults": []')),
    "oauth-clients create": (
        Use("oauth-clients create --scopes all,dns -t tag:a -d text", "tskey-client-", True),
        Use("oauth new -s auth_keys --tag tag:a -o json", '"secret": "tskey-client-', True),
    ),
    "oauth-clients list": (
        Use("oauth-client list", ""), Use("oauthclients ls -o json", "["),
    ),
    "oauth-clients delete": (
        Use("oauthclient delete -i {oauthclient}", "deleted", True),
        Use("oauth-clients revoke --id {oauthclient} -o json", "{", True),
    ),
    "dns show": (Use("dns show", "MagicDNS"), Use("dns get -o json", '"magicDns"')),
    "dns set": (
        Use("dns set --nameservers 1.1.1.1,9.9.9.9 --split a.example.com=10.0.0.53 --magic-dns true", "stored", True),
        Use("dns set --search-paths Example.ORG --override-local-dns false -o json", "example.org", True),
    ),
    "dns reset": (
        Use("dns set --nameservers 8.8.8.8 --search-paths a.example", "stored", True),
        Use("dns reset nameservers", "configuration", True), Use("dns reset -o json", '"stored": []', True),
    ),
    "audit list": (Use("audit list --limit 5", ""), Use("audit list -o json", "[")),
    "audit export": (Use("audit export", ""),),
    "audit verify": (Use("audit verify", "entries"), Use("audit verify -o json", '"entries"')),
    "generate private-key": (
        Use("generate private-key", "privkey:"), Use("gen private-key -o json", '"private_key": "privkey:'),
    ),
    "generate config": (
        Use("generate config", "\nserver_url: "), Use("gen config --complete", "#max_connections: 65536"),
    ),
    "debug create-node": (
        Use("debug create-node --name {name} --user root --key {free}", " auth register --auth-id", True),
        Use("debug create-node --name x -n {email} -k {free} -r 10.0.0.0/8 --route 10.9.0.0/16 -o yaml", "/16", True),
    ),
    "dumpConfig": (
        Use("dumpConfig -c {config}", "api_key: '***'"),
        Use("dump-config -c {config} -o json", '"timeout": "5s"'),
    ),
    "completion bash": (
        Use("completion bash", "complete -F"), Use("completion bash --no-descriptions", "__completeNoDesc"),
    ),
    "completion zsh": (Use("completion zsh", "#compdef headscale"),),
    "completion fish": (Use("completion fish", "complete -c headscale"),),
    "completion powershell": (Use("completion powershell", "Register-ArgumentCompleter"),),
    "help": (
        Use("help", "users"), Use("help nodes key", "rotate"), Use("--help", "examples:"),
        Use("nodes -h", "list-routes"),
    ),
    "man": (Use("man {folder}", " pages in "),),
    "nodes move": (
        Use("nodes move -i {nodeid} -u {user}", "", False, 1),
        Use("nodes mv --identifier {node} -n {user}", "", False, 1),
    ),
    "auth approve": (
        Use("auth approve --auth-id {session}", "approved", True),
        Use("auth approve --auth-id {session} -o json --modern", "authId", True),
        Use("auth approve --auth-id {login}", "", False, 1),
    ),
}  # fmt: skip

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

LOCAL = frozenset(
    ("version", "configtest", "backup create", "backup verify", "backup restore", "db check",
     "generate private-key", "generate config", "dumpConfig", "help", "man",
     "mockoidc", "serve",
     *(f"completion {shell}" for shell in SHELLS))
)  # fmt: skip
"""Commands that ask no server."""
