#!/bin/sh
# Makes a replica of the primary in an empty folder, then runs it. A copy that was interrupted is made anew.
set -eu
export PGPASSFILE=/tmp/pgpass
umask 077
printf 'postgres:5432:*:replica:%s\n' "$(cat /run/secrets/replica_password)" > "$PGPASSFILE"
from="host=postgres port=5432 user=replica sslmode=verify-full sslrootcert=/run/secrets/authority application_name=passerelle_replica passfile=$PGPASSFILE"
if [ ! -f "$PGDATA/standby.signal" ]; then
  find "$PGDATA" -mindepth 1 -delete
  until pg_basebackup --pgdata "$PGDATA.part" --dbname "$from" --slot passerelle_replica --wal-method stream --checkpoint fast; do
    rm -rf "$PGDATA.part"; sleep 2
  done
  cp -a "$PGDATA.part/." "$PGDATA/" && rm -rf "$PGDATA.part"
  printf "primary_conninfo = '%s'\nprimary_slot_name = 'passerelle_replica'\n" "$from" >> "$PGDATA/postgresql.auto.conf"
  touch "$PGDATA/standby.signal"
fi
exec postgres -D "$PGDATA" -c config_file=/etc/postgresql/postgresql.conf
