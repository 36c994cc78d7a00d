"""The table of what a start can fail with: how each is provoked, and the whole text that a person reads then.

A row changes a configuration that would start, puts things in its way, and names every line that is printed. Its text
stands in `start_failures.txt` below the row's name, with `{folder}` for the row's folder, `{web}` and its like for
ports, `{headscale}` for our program and `{pid}` for a process.
"""

from __future__ import annotations

import socket

from tests.flow.moving.installations import unpack
from tests.flow.process.start_faults import (
    NOBODY,
    OIDC,
    POSTGRES,
    RELAY_OFF,
    Row,
    after,
    database,
    key,
    listening,
    locked,
    locked_key,
    mismatched,
    mode,
    pair,
    postgres,
    real_postgres,
    rooted,
    weak,
    weak_authority,
)

ROWS: dict[str, Row] = {
    # The file of the configuration
    "no file": Row(config="{folder}/none.yaml"),
    "no file anywhere": Row(config=""),
    "a folder without a file": Row(config="{folder}/empty", arrange=lambda place: (place.folder / "empty").mkdir()),
    "a file without rights": Row(arrange=rooted("hs.yaml", 0o600), job=NOBODY, root=True, of_root=("hs.yaml",)),
    "yaml: tab": Row(raw="server_url: https://a\n\tlisten_addr: :80\n"),
    "yaml: quote": Row(raw='server_url: "https://a\nlisten_addr: :80\n'),
    "yaml: indentation": Row(raw="noise:\n  private_key_path: x\n database:\n  type: sqlite\n"),
    "yaml: colon": Row(raw="server_url: a: b\n"),
    "yaml: no colon": Row(raw="server_url: https://a.example\nlisten_addr\nmetrics_listen_addr: :9\n"),
    "yaml: star": Row(raw="trusted_proxies: *all\n"),
    "yaml: bracket": Row(raw="trusted_proxies: [10.0.0.1\nserver_url: https://a.example\n"),
    "yaml: brace": Row(raw="prefixes: {v4: 10.0.0.0/8\nserver_url: https://a.example\n"),
    "yaml: percent": Row(raw="server_url: %host\n"),
    "yaml: anything else": Row(raw="%YAML 9.0\n---\na: b\n"),
    "yaml: latin": Row(raw="caf\u00e9"),
    "yaml: list": Row(raw="- server_url\n"),
    "yaml: deep": Row(raw="server_url: " + "[" * 200 + "]" * 200 + "\n"),
    "yaml: twice": Row(raw="server_url: https://a.example\nserver_url: https://b.example\n"),
    # Values
    "unknown keys": Row({"gateway.workrs": 2, "services.tokn": "x", "listen_adr": "x", "oidc.issuers": "x"}),
    "wrong kinds of values": Row(
        {
            "grpc_allow_insecure": "perhaps",
            "gateway.workers": "two",
            "gateway.connections": {"a": 1},
            "derp.server.region_id": "x",
            "derp.urls": {"a": "b"},
            "derp.update_frequency": "soon",
            "database.type": "mysql",
            "dns.nameservers.split": ["1.1.1.1"],
            "dns.extra_records": ["text"],
            "log.level": ["info"],
            "unix_socket_permission": "rwx",
            "oidc.extra_params": ["a"],
            "oidc.providers": ["a"],
        }
    ),
    "values where sections are": Row(
        {"noise": "x", "oidc": {"providers": {"a": "b"}, "groups": {"patterns": {"a": "("}}},
         "telemetry.sample_ratio": "x"}
    ),
    "values out of bounds": Row({"gateway.workers": 0, "derp.server.port": 70000, "derp.server.region_id": 0}),
    "addresses": Row(
        {
            "server_url": "hs.example.com",
            "listen_addr": "",
            "metrics_listen_addr": "9090",
            "grpc_listen_addr": "::1:50443",
            "trusted_proxies": ["proxy", "0.0.0.0/0"],
            "metrics_allowed_networks": ["home"],
            "services.registry.listen_addr": "here",
            "services.policy.addresses": ["there"],
            "bus.url": "localhost",
        }
    ),
    "an address to connect to": Row({"gateway.relay_address": "derp"}),
    "a relay elsewhere": Row({"gateway.relay_address": "derp:8081"}),
    "no server_url": Row({"server_url": None}),
    "a server_url with a path": Row({"server_url": "https://hs.example.com/vpn"}),
    "tailnet": Row(
        {
            "prefixes": {"v4": "10.0.0.0/8", "v6": "100.64.0.0/10"},
            "server_url": "https://hs.example.com",
            "dns.base_domain": "hs.example.com",
            "dns.extra_records": [{"name": "a.example", "type": "A", "value": "1.2.3.4"}],
            "dns.extra_records_path": "{folder}/records.json",
            "node.ephemeral.inactivity_timeout": "10s",
            "node.routes.ha.probe_timeout": "1h",
            "derp.server.ipv4": "::1",
            "derp.server.mesh_key": "short",
            "derp.server.stun_listen_addr": "",
        }
    ),
    "no prefixes": Row({"prefixes": {"v4": "", "v6": ""}, "dns.base_domain": ""}),
    "a bad domain": Row({"dns.base_domain": "-x-", "derp.server.mesh_with": ["https://b.example"]}),
    "no nameservers": Row({"dns.override_local_dns": True}),
    "no relay": Row({**RELAY_OFF, "derp.urls": [], "derp.paths": []}),
    "no relay but of a path as URL": Row({**RELAY_OFF, "derp.urls": ["/etc/headscale/derp.yaml"]}),
    "no socket": Row({"unix_socket": ""}),
    "a bus with another port": Row({"bus.url": "redis://127.0.0.1:port"}),
    "certificates: half a pair": Row(
        {
            "tls_cert_path": "a.pem",
            "derp.server.tls_key_path": "a.key",
            "services.tls.ca_path": "ca.pem",
            "tls_letsencrypt_hostname": "hs.example.com",
            "tls_letsencrypt_challenge_type": "TLS-ALPN-01",
        }
    ),
    "postgres: no name": Row(
        {"database": {"type": "postgres", "postgres": {"host": "db", "name": "", "ssl": "sometimes"}}}
    ),
    "workers": Row(
        {"gateway.workers": 3, "listen_addr": "127.0.0.1:0", "metrics_listen_addr": "127.0.0.1:65535"},
        words=("serve", "gateway"),
    ),
    "limits": Row(
        {
            "gateway.max_answer_body": 1048576,
            "gateway.max_request_body": 4194304,
            "gateway.idle_timeout": "30s",
            "gateway.check_interval": "1m",
        }
    ),
    "sign-in": Row(
        {
            "server_url": "http://hs.example.com",
            "oidc": {
                "issuer": "http://idp.example.com",
                "client_id": "",
                "client_secret": "",
                "scope": ["profile"],
                "clock_leeway": "1h",
                "groups": {"patterns": ["("]},
                "providers": {"Bad Name": OIDC, "second": {"client_id": "x"}},
            },
        }
    ),
    "sign-in: secret twice": Row(
        {
            "oidc": {**OIDC, "client_secret_path": "x", "providers": {"two": {**OIDC, "issuer": "https://idp/[appid]"}}},
        }
    ),
    "sign-in: patterns and issuer": Row(
        {"oidc": {**OIDC, "issuer": "idp.example.com", "groups": {"patterns": {"(": "x"}}}}
    ),
    "sign-in: the same application twice": Row({"oidc": {**OIDC, "providers": {"two": OIDC}}}),
    "old keys": Row(
        {
            "db_type": "sqlite3",
            "database.type": "postgres",
            "ip_prefixes": ["100.64.0.0/10", "here"],
            "oidc.enabled": "often",
        }
    ),
    "old keys: sign-in without issuer": Row({"oidc.enabled": True}),
    "messages for people": Row(
        {"messages": {"contact": "first line\nsecond line", "oldest_clients": {"linux": "new", "amiga": "1.90"}}}
    ),
    # The environment
    "environment: twice": Row(env={"HEADSCALE_SERVICES_TOKEN": "a", "HEADSCALE_SERVICES_TOKEN_FILE": "{folder}/b"}),
    "environment: secret file missing": Row(env={"HEADSCALE_SERVICES_TOKEN_FILE": "{folder}/none"}),
    "environment: forms": Row(
        env={
            "HEADSCALE_DERP_URLS": "[1",
            "HEADSCALE_OIDC_EXTRA_PARAMS": "a b",
            "HEADSCALE_DNS_NAMESERVERS_SPLIT": "{1",
            "HEADSCALE_GATEWAY_WORKERS": "many",
        }
    ),
    # Addresses in use
    "in use: listen_addr": Row(arrange=lambda place: place.occupy("web")),
    "in use: metrics_listen_addr": Row(arrange=lambda place: place.occupy("metrics")),
    "in use: grpc_listen_addr": Row(
        {"grpc_listen_addr": "127.0.0.1:{grpc}", "grpc_allow_insecure": True}, lambda place: place.occupy("grpc")
    ),
    "in use: relay": Row(arrange=lambda place: place.occupy("derp")),
    "in use: stun": Row(arrange=lambda place: place.occupy("stun", socket.SOCK_DGRAM)),
    "in use: acme": Row(
        {
            "tls_letsencrypt_hostname": "hs.example.com",
            "tls_letsencrypt_listen": "127.0.0.1:{acme}",
            "tls_letsencrypt_cache_dir": "{folder}/acme",
        },
        lambda place: place.occupy("acme"),
    ),
    "in use: a service of the stack": Row(
        {"services": {"token": "0123456789abcdef", "registry": {"listen_addr": "127.0.0.1:{registry}"}}, "bus.url": "redis://127.0.0.1:{closed}"},
        lambda place: place.occupy("registry"),
        words=("serve", "registry"),
    ),
    "in use: workers": Row(
        {"gateway.workers": 2, "services.token": "0123456789abcdef", "bus.url": "redis://127.0.0.1:{closed}"},
        lambda place: place.occupy("web"),
        words=("serve", "gateway"),
    ),
    "two keys, one address": Row({"metrics_listen_addr": "127.0.0.1:{web}"}),
    "an address of another machine": Row({"listen_addr": "192.0.2.77:{web}"}),
    "an address without a name": Row({"listen_addr": "no.such.name.invalid:{web}"}),
    "a low port": Row({"listen_addr": "127.0.0.1:80"}, job=NOBODY, root=True),
    # Files and folders
    "state: without rights": Row(
        {"state_dir": "{folder}/other", "database.sqlite.path": "{folder}/other/db.sqlite"},
        rooted("other", 0o755), job=NOBODY, root=True,
    ),
    "state: not to be entered": Row(
        {"database.sqlite.path": "{folder}/other/state/db.sqlite", "noise.private_key_path": "{folder}/other/n.key"},
        rooted("other", 0o700), job=NOBODY, root=True,
    ),
    "state: to be made": Row(
        {"database.sqlite.path": "{folder}/other/new/db.sqlite"}, rooted("other", 0o755), job=NOBODY, root=True
    ),
    "state: a file in the way": Row(
        {"database.sqlite.path": "{folder}/letter/db.sqlite"}, lambda place: place.write("letter", "x")
    ),
    "state: read-only": Row(
        {"database.sqlite.path": "{folder}/small/db.sqlite"},
        lambda place: (place.folder / "small").mkdir(),
        job={"tiny": "{folder}/small", "read_only": True},
        root=True,
    ),
    "state: full disk": Row(
        {"noise.private_key_path": "{folder}/small/noise.key"},
        lambda place: (place.folder / "small").mkdir(),
        job={"tiny": "{folder}/small", "full": True},
        root=True,
    ),
    "socket: a long path": Row({"unix_socket": "{folder}/" + "s" * 120}),
    "socket: a file": Row(arrange=lambda place: place.write("hs.sock", "x")),
    "socket: another server": Row(arrange=listening),
    "secret: not to be reached": Row(
        {"oidc": {"issuer": OIDC["issuer"], "client_id": "app", "client_secret_path": "{folder}/other/secret"}},
        rooted("other", 0o700), job=NOBODY, root=True,
    ),
    "key: text": Row(arrange=lambda place: place.write("noise.key", "hello")),
    "key: empty": Row(arrange=lambda place: place.write("noise.key", "")),
    "key: of 0.16": Row(arrange=lambda place: place.write("noise.key", "a" * 64)),
    "key: bytes": Row(arrange=lambda place: place.write("noise.key", b"\xff\xfe\0")),
    "key: a folder": Row(arrange=lambda place: (place.folder / "noise.key").mkdir()),
    "key: without rights": Row(arrange=rooted("noise.key", 0o600), job=NOBODY, root=True),
    "key: of the relay": Row(arrange=lambda place: place.write("derp.key", "hello")),
    # Certificates
    "certificate: missing": Row({"tls_cert_path": "{folder}/no.pem", "tls_key_path": "{folder}/no.key"}),
    "certificate: key missing": Row(
        arrange=after(pair("hs.example.com"), lambda place: (place.folder / "tls/server.key").unlink())
    ),
    "certificate: text": Row(
        arrange=after(pair("hs.example.com"), lambda place: place.write("tls/server.pem", "hello"))
    ),
    "certificate: key is text": Row(arrange=after(pair("hs.example.com"), key("hello"))),
    "certificate: key with a passphrase": Row(
        arrange=after(pair("hs.example.com"), lambda place: place.write("tls/server.key", locked_key()))
    ),
    "certificate: of another key": Row(arrange=mismatched),
    "certificate: a weak key": Row(arrange=weak),
    "certificate: a weak authority": Row(arrange=weak_authority),
    "certificate: not valid yet, and the port in use": Row(
        arrange=after(pair("hs.example.com", age=-7), lambda place: place.occupy("metrics"))
    ),
    "certificate: without rights": Row(
        arrange=after(pair("hs.example.com"), mode("tls/server.key", 0o600)), job=NOBODY, root=True
    ),
    "certificate: of the relay": Row(
        {"derp.server.tls_cert_path": "{folder}/no.pem", "derp.server.tls_key_path": "{folder}/no.key"}
    ),
    "certificate: of the stack": Row(
        {
            "services.tls": {
                "ca_path": "{folder}/ca.pem", "cert_path": "{folder}/no.pem", "key_path": "{folder}/no.key",
            },
            "bus.url": "redis://127.0.0.1:{closed}",
        },
        words=("serve", "policy"),
    ),
    "certificate: authorities of the stack": Row(
        {
            "services.tls": {
                "ca_path": "{folder}/ca.pem",
                "cert_path": "{folder}/tls/server.pem",
                "key_path": "{folder}/tls/server.key",
            },
            "bus.url": "redis://127.0.0.1:{closed}",
        },
        after(pair("policy"), lambda place: place.write("ca.pem", "hello")),
        words=("serve", "policy"),
    ),
    "acme: folder without rights": Row(
        {"tls_letsencrypt_hostname": "hs.example.com", "tls_letsencrypt_cache_dir": "{folder}/other",
         "tls_letsencrypt_listen": "127.0.0.1:{acme}"},
        rooted("other", 0o755), job=NOBODY, root=True,
    ),
    "acme: stored certificate damaged": Row(
        {"tls_letsencrypt_hostname": "hs.example.com", "tls_letsencrypt_cache_dir": "{folder}/acme",
         "tls_letsencrypt_listen": "127.0.0.1:{acme}", "server_url": "https://hs.example.com"},
        lambda place: place.write("acme/hs.example.com.pem", "hello"),
    ),
    # Databases
    "database: text": Row(arrange=lambda place: place.write("db.sqlite", "this is a letter, no database" * 9)),
    "database: of another program": Row(arrange=database("CREATE TABLE recipes (id integer)")),
    "database: of Headscale": Row(
        {"database.sqlite.path": "{folder}/old/db.sqlite"},
        lambda place: unpack("0.29.2", place.write("old/x", "").parent),
    ),
    "database: of a newer smartscale": Row(
        arrange=database(
            "CREATE TABLE registry_alembic_version (version_num TEXT)",
            "INSERT INTO registry_alembic_version VALUES ('9001')",
        )
    ),
    "database: half made": Row(
        arrange=database(
            "CREATE TABLE registry_alembic_version (version_num TEXT)", "CREATE TABLE registry_users (id INTEGER)"
        )
    ),
    "database: torn": Row(
        arrange=after(
            database("CREATE TABLE recipes (id integer)"),
            lambda place: place.write("db.sqlite", (place.folder / "db.sqlite").read_bytes()[:100] + bytes(8000)),
        )
    ),
    "database: a folder": Row(arrange=lambda place: (place.folder / "db.sqlite").mkdir()),
    "database: without rights": Row(arrange=rooted("db.sqlite", 0o600), job=NOBODY, root=True),
    "database: another server": Row(arrange=locked),
    "database: full disk": Row(
        {"database.sqlite.path": "{folder}/small/db.sqlite"},
        lambda place: (place.folder / "small").mkdir(),
        job={"tiny": "{folder}/small"},
        root=True,
    ),
    "postgres: away": Row(POSTGRES, job={"patience": 0.0}),
    "postgres: no such host": Row(
        {"database": {"type": "postgres", "postgres": {"host": "no.such.name.invalid", "name": "tailnet"}}},
        job={"patience": 0.0},
    ),
    "postgres: wrong password": Row(arrange=postgres("28P01", 'password authentication failed for user "hs"')),
    "postgres: no such database": Row(arrange=postgres("3D000", 'database "tailnet" does not exist')),
    "postgres: no such user": Row(arrange=postgres("28000", 'role "hs" does not exist')),
    "postgres: other trouble": Row(arrange=postgres("XX000", "something went wrong")),
    "postgres: host not admitted": Row(
        arrange=postgres("28000", 'no pg_hba.conf entry for host "192.0.2.7", user "hs", database "tailnet"')
    ),
    "postgres: read-only": Row(arrange=real_postgres("ALTER ROLE smartscale SET default_transaction_read_only = on")),
    "postgres: of a newer smartscale": Row(
        arrange=real_postgres(
            "CREATE TABLE registry_alembic_version (version_num TEXT)",
            "INSERT INTO registry_alembic_version VALUES ('9001')",
        )
    ),
    "postgres: without rights": Row(arrange=real_postgres("CREATE ROLE hs LOGIN", user="hs")),
    "postgres: full": Row(
        arrange=postgres("53300", "sorry, too many clients already"), job={"patience": 0.0}
    ),
    # What others write
    "records: text": Row({"dns.extra_records_path": "{folder}/r.json"}, lambda place: place.write("r.json", "{")),
    "relays: file missing": Row({**RELAY_OFF, "derp.urls": [], "derp.paths": ["{folder}/none.yaml"]}),
    "relays: an address among the files": Row(
        {**RELAY_OFF, "derp.urls": [], "derp.paths": ["https://relay.example/map.json"]}
    ),
    "relays: file without rights": Row(
        {**RELAY_OFF, "derp.urls": [], "derp.paths": ["{folder}/other"]},
        lambda place: place.write("other", "regions: {}").chmod(0o600), job=NOBODY, root=True,
    ),
    "database: journal of root": Row(
        arrange=lambda place: place.write("db.sqlite-wal", "x").chmod(0o600),
        job=NOBODY, root=True, of_root=("db.sqlite-wal",),
    ),
    "relays: file damaged": Row(
        {**RELAY_OFF, "derp.urls": [], "derp.paths": ["{folder}/d.yaml"]}, lambda place: place.write("d.yaml", "a: [")
    ),
    "relays: nothing usable": Row(
        {**RELAY_OFF, "derp.urls": [], "derp.paths": ["{folder}/d.yaml"]},
        lambda place: place.write("d.yaml", "regions: {}\n"),
    ),
    "relays: no usable region": Row(
        {**RELAY_OFF, "derp.urls": [], "derp.paths": ["{folder}/d.yaml"]},
        lambda place: place.write("d.yaml", "regions:\n  900: {regionid: 900, nodes: [{name: a}]}\n  901: text\n"),
    ),
    # Sign-in
    "provider: secret file missing": Row(
        {"oidc": {"issuer": OIDC["issuer"], "client_id": "app", "client_secret_path": "{folder}/none"}}
    ),
    "provider: secret file empty": Row(
        {"oidc": {"issuer": OIDC["issuer"], "client_id": "app", "client_secret_path": "{folder}/empty"}},
        lambda place: place.write("empty", ""),
    ),
    "provider: secret file in another encoding": Row(
        {"oidc": {"issuer": OIDC["issuer"], "client_id": "app", "client_secret_path": "{folder}/secret"}},
        lambda place: place.write("secret", b"\xff\xfea\0b\0"),
    ),
    "provider: key file empty": Row(
        {"oidc": {"issuer": OIDC["issuer"], "client_id": "app", "private_key_path": "{folder}/empty"}},
        lambda place: place.write("empty", ""),
    ),
    "provider: key file with text": Row(
        {"oidc": {"issuer": OIDC["issuer"], "client_id": "app", "private_key_path": "{folder}/key.pem"}},
        lambda place: place.write("key.pem", "hello"),
    ),
    "provider: authorities with text": Row(
        {"oidc": {**OIDC, "ca_path": "{folder}/ca.pem"}}, lambda place: place.write("ca.pem", "hello")
    ),
    "provider: secrets not copied whole": Row({"oidc": {**OIDC, "client_secret": "s3cret ", "providers": {
        "two": {**OIDC, "client_id": "b", "client_secret": '"s3cret"'},
        "three": {**OIDC, "client_id": "c", "client_secret": "s\u00e9cret"},
        "four": {**OIDC, "client_id": "d", "namespace_format": "{mail}"},
    }}}),
    "provider: away": Row(
        {
            "server_url": "http://127.0.0.1:{web}",
            "oidc": {
                **OIDC, "issuer": "http://127.0.0.1:{closed}", "only_start_if_oidc_is_available": True,
            },
        },
        job={"patience": 0.0},
    ),
    # The stack
    "stack: no bus and no token": Row(words=("serve", "registry")),
    "stack: a token that can be guessed": Row(
        {"services.token": "secret", "bus.url": "redis://127.0.0.1:{closed}"}, words=("serve", "registry")
    ),
    "stack: workers in one process": Row({"gateway.workers": 2}),
    "relay: mesh": Row({"derp.server.mesh_with": ["ftp://relay.example"], "derp.server.mesh_key": "a" * 64}),
}  # fmt: skip
