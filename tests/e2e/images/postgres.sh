#!/bin/sh
# Stands in for the official PostgreSQL image in tests: the same variables, the same data folder.
set -eu
data=/var/lib/postgresql/data
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
as_postgres() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }
mkdir -p /var/run/postgresql
chown postgres: "$data" /var/run/postgresql
if [ ! -s "$data/pgdata/PG_VERSION" ]; then
    printf '%s' "$POSTGRES_PASSWORD" >/tmp/pw
    chown postgres: /tmp/pw
    as_postgres "$bin/initdb" -D "$data/pgdata" -U "$POSTGRES_USER" -A scram-sha-256 --pwfile=/tmp/pw >/dev/null
    rm /tmp/pw
    echo "host all all all scram-sha-256" >>"$data/pgdata/pg_hba.conf"
    sed -i 's/^local .*/local all all trust/' "$data/pgdata/pg_hba.conf"
    as_postgres "$bin/pg_ctl" -D "$data/pgdata" -w -s -o "-c listen_addresses= -k /tmp" start
    as_postgres "$bin/createdb" -h /tmp -U "$POSTGRES_USER" "$POSTGRES_DB" 2>/dev/null || true
    as_postgres "$bin/pg_ctl" -D "$data/pgdata" -w -s -m fast stop
fi
exec setpriv --reuid postgres --regid postgres --clear-groups \
    "$bin/postgres" -D "$data/pgdata" -k /var/run/postgresql -c listen_addresses='*'
