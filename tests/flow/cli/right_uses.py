"""Every command of Headscale and of the guide, rightly used."""

from __future__ import annotations

from tests.flow.cli.uses import Use

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
