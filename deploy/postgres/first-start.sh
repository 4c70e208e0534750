#!/bin/sh
# Runs once, in an empty PostgreSQL: the router's database and account, and the replica's. Passwords come from secrets;
# psql quotes them, and they are never part of a command line.
set -eu
psql -v ON_ERROR_STOP=1 --username postgres --dbname postgres <<'SQL'
\set router `cat /run/secrets/postgres_password`
\set replica `cat /run/secrets/replica_password`
CREATE ROLE passerelle LOGIN PASSWORD :'router';
CREATE ROLE replica LOGIN REPLICATION PASSWORD :'replica';
CREATE DATABASE passerelle OWNER passerelle ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE passerelle FROM PUBLIC;
SELECT pg_create_physical_replication_slot('passerelle_replica');
SQL
