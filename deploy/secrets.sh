#!/bin/sh
# Makes what the Compose file needs and nobody may see: an authority of our own with certificates for the parts, the
# passwords, the journal's key. Runs once; nothing that is there is replaced. For the dashboard and the laboratories'
# port, put certificates of an authority that they know in the place of web_pem and mllp_*.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets/keys
cd secrets
umask 077
word() { [ -e "$1" ] || openssl rand -hex 24 | tr -d '\n' > "$1"; }
for one in postgres_password postgres_superuser_password replica_password nats_password; do word "$one"; done
[ -e nats_users ] || printf 'NATS_PASSWORD: "%s"\n' "$(cat nats_password)" > nats_users
if [ ! -e authority ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=Passerelle deployment" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
    -keyout authority_key -out authority 2>/dev/null
fi
certificate() {
  name="$1"; shift
  [ -e "${name}_certificate" ] && return 0
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "${name}_key" -out "$name.csr" 2>/dev/null
  names=""
  for one in "$@"; do names="$names,DNS:$one"; done
  printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "${names#,}" > "$name.ext"
  openssl x509 -req -in "$name.csr" -CA authority -CAkey authority_key -CAcreateserial -days 825 -extfile "$name.ext" \
    -out "${name}_certificate" 2>/dev/null
  rm -f "$name.csr" "$name.ext"
}
certificate nats nats1 nats2 nats3
certificate postgres postgres postgres-replica
certificate mllp "${MLLP_NAME:-receivers}"
certificate web "${WEB_NAME:-localhost}"
[ -e web_pem ] || cat web_certificate web_key > web_pem
[ -e keys/journal.key ] || { openssl rand -hex 32 > keys/journal.key; }
# Each part's account reads its own: nodes and NATS run as 10001, PostgreSQL as 999, the balancer as 99.
if [ "$(id -u)" = 0 ]; then
  chown -R 10001:10001 keys nats_certificate nats_key nats_users mllp_certificate mllp_key nats_password
  chown 999:999 postgres_certificate postgres_key postgres_superuser_password replica_password
  chown 99:99 web_pem
  chown 10001:999 postgres_password && chmod 0440 postgres_password
  chmod 0444 authority
else
  echo "Run as root: the files must belong to the accounts of the parts that read them." >&2
  exit 1
fi
echo "Made in $(pwd). Copy keys/journal.key to a safe place: without it the journal cannot be read."
