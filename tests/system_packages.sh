#!/bin/sh
# Installs the Debian packages that the tests want, when that is possible; otherwise says which tests will be skipped.
set -u
command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >/dev/null 2>&1 || true
  if apt-get install -y -qq --no-install-recommends chromium >/dev/null 2>&1; then
    exit 0
  fi
fi
echo "NOTE: chromium is missing and could not be installed: the tests marked 'browser' will be SKIPPED (see the count below)." >&2
