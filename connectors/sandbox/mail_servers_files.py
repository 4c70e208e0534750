"""The configuration files of the sandbox's real servers: Dovecot 2.3 and Postfix 3 (fact sheet mssante §14)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from connectors.sandbox.mail_people import DOMAIN, Persona


class Ports(Protocol):
    """Where the servers listen."""

    @property
    def imap(self) -> int:
        """IMAP, with STARTTLS."""

    @property
    def imaps(self) -> int:
        """IMAP, with TLS from the first byte."""

    @property
    def submission(self) -> int:
        """Submission, with STARTTLS."""

    @property
    def relay(self) -> int:
        """Postfix, behind submission."""

    @property
    def lmtp(self) -> int:
        """Delivery into the mailboxes."""


def dovecot(base: Path, ports: Ports, user: str, limit: int) -> str:
    """Write `dovecot.conf`. A newline must follow each brace."""
    return f"""\
base_dir = {base}/base
state_dir = {base}/state
log_path = {base}/log/dovecot.log
protocols = imap lmtp submission
listen = 127.0.0.1
hostname = localhost
postmaster_address = postmaster@{DOMAIN}
ssl = required
ssl_min_protocol = TLSv1.2
ssl_cert = <{base}/tls/server.pem
ssl_key = <{base}/tls/server.pem
ssl_ca = <{base}/tls/ca.pem
ssl_verify_client_cert = yes
auth_ssl_require_client_cert = yes
auth_ssl_username_from_cert = yes
ssl_cert_username_field = commonName
ssl_require_crl = no
disable_plaintext_auth = yes
auth_mechanisms = plain login xoauth2 oauthbearer external
mail_plugins = quota
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {base}/oauth/oauth2.conf.ext
}}
passdb {{
  driver = passwd-file
  mechanisms = external
  args = username_format=%u {base}/users.external
}}
passdb {{
  driver = passwd-file
  mechanisms = plain login
  args = username_format=%u {base}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {base}/users
  override_fields = uid={user} gid={user} home={base}/mail/%u
}}
mail_location = maildir:~/Maildir
mail_max_userip_connections = 50
first_valid_uid = 1
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {ports.imap}
  }}
  inet_listener imaps {{
    port = {ports.imaps}
  }}
}}
service submission-login {{
  chroot =
  inet_listener submission {{
    port = {ports.submission}
  }}
}}
service lmtp {{
  chroot =
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {ports.lmtp}
  }}
}}
protocol imap {{
  mail_plugins = $mail_plugins imap_quota
}}
plugin {{
  quota = maildir:Boite
  quota_rule = *:storage=100M
  quota_grace = 0
}}
submission_relay_host = 127.0.0.1
submission_relay_port = {ports.relay}
submission_relay_ssl = no
submission_max_mail_size = {limit}
namespace inbox {{
  inbox = yes
  separator = /
}}
"""


def oauth(base: Path, issuer: str) -> str:
    """Write how access tokens are checked: here, by the issuer's public key."""
    return f"""\
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={base}/oauth/keys/
issuers = {issuer}
username_attribute = mss_bal
"""


def users(people: Sequence[Persona], secret: str) -> str:
    """Write the mailboxes, each with its password and its quota."""
    lines = []
    for one in people:
        quota = f"userdb_quota_rule=*:bytes={one.quota}"
        lines.append(f"{one.address}:{{PLAIN}}{secret}::::::{quota}\n")
    return "".join(lines)


def certificate_users(people: Sequence[Persona]) -> str:
    """Write the mailboxes that a client certificate alone opens."""
    return "".join(f"{one.address}:::::::nopassword\n" for one in people)


def postfix(base: Path, ports: Ports, domains: Sequence[str], limit: int) -> str:
    """Write `main.cf`."""
    return f"""\
compatibility_level = 3.6
queue_directory = {base}/pf/queue
data_directory = {base}/pf/data
maillog_file = {base}/log/postfix.log
maillog_file_prefixes = {base}, /dev/stdout
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = localhost
myorigin = {DOMAIN}
mydestination =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = {", ".join(domains)}
virtual_transport = lmtp:inet:127.0.0.1:{ports.lmtp}
default_transport = error:5.7.1 domaine hors liste blanche
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_tls_security_level = none
message_size_limit = {limit}
minimal_backoff_time = 5s
maximal_backoff_time = 10s
queue_run_delay = 5s
maximal_queue_lifetime = 60s
bounce_queue_lifetime = 60s
alias_maps =
alias_database =
"""


def postfix_services(packaged: str, port: int) -> str:
    """Write `master.cf` from the package's: our port, no chroot."""
    lines = []
    for line in packaged.splitlines():
        columns = line.split()
        if len(columns) >= 8 and not line.startswith(("#", " ", "\t")):
            if columns[:2] == ["smtp", "inet"]:
                columns[0] = f"127.0.0.1:{port}"
            elif columns[1] == "inet":
                continue
            columns[4] = "n"
            line = " ".join(columns)
        lines.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"
