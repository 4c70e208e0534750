#!/bin/sh
# Installs the Debian packages that the tests want, when that is possible; otherwise says which tests will be skipped.
set -u

wanted=""
command -v chromium >/dev/null 2>&1 || wanted="$wanted chromium"
[ -x /usr/sbin/dovecot ] && [ -e /usr/lib/dovecot/imap ] && [ -e /usr/lib/dovecot/lmtp ] \
  && [ -e /usr/lib/dovecot/submission ] \
  || wanted="$wanted dovecot-core dovecot-imapd dovecot-lmtpd dovecot-submissiond"
[ -x /usr/sbin/haproxy ] || wanted="$wanted haproxy"
[ -x /usr/sbin/postfix ] || wanted="$wanted postfix"
[ "$(id -u)" = 0 ] || echo "NOTE: the tests marked 'mail_servers' run as root only: they will be SKIPPED." >&2
[ -z "$wanted" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  export DEBIAN_FRONTEND=noninteractive
  # The packages must not start their services: the tests run their own, on other ports.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && trap 'rm -f "$policy"' EXIT
  fi
  apt-get update -qq >/dev/null 2>&1 || true
  for package in $wanted; do
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 || true
  done
fi

note() { echo "NOTE: $1 could not be installed: the tests marked '$2' will be SKIPPED (see the count below)." >&2; }
command -v chromium >/dev/null 2>&1 || note "chromium is missing and" browser
{ [ -x /usr/sbin/dovecot ] && [ -e /usr/lib/dovecot/imap ] && [ -e /usr/lib/dovecot/lmtp ] \
  && [ -e /usr/lib/dovecot/submission ] && [ -x /usr/sbin/postfix ]; } \
  || note "Dovecot or Postfix is missing and" mail_servers
exit 0
