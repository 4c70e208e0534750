#!/bin/sh
# A node's own folder holds its lock and what is arriving; the key is looked up where it is mounted, so that a coming
# key that is put beside it is seen at once (docs/operations/keys.md).
set -eu
keys="${PASSERELLE_KEYS:-/run/passerelle/keys}"
for name in journal.key journal.key.next; do
  [ -e "$PASSERELLE_DATA/$name" ] || ln -sf "$keys/$name" "$PASSERELLE_DATA/$name"
done
exec passerelle "$@"
