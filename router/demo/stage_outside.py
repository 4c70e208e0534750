"""The national services of the stage: an MSSanté operator and a DMP, both inside this process, both the sandbox's.

Their sections of the configuration, and the validation package by which documents are checked before the DMP.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from connectors.sandbox.dmp import DmpSandbox
from connectors.sandbox.dmp.population import idnat, key_of
from connectors.sandbox.dmp.store import Authorisation
from connectors.sandbox.mail_authority import MailAuthority, write_secret
from connectors.sandbox.mail_operator import MailOperator
from connectors.sandbox.mail_people import DOCTOR, DOMAIN, ROUTER, SECRET
from connectors.sandbox.people import PRESCRIBER, ROSE, Person

PACKAGE = Path(__file__).parent / "validation_package"
"""A few rules of our own: the ANS's package is not shipped."""

STRUCTURE_OID = "1.2.250.1.999.67"
"""The invented installation, as the DMP knows it."""

SANDBOX = "sandbox"
"""The folder of the router's folder in which certificates, and the DMP's documents, are kept."""

_LASTS = timedelta(days=365)
"""Certificates of the mail servers: longer than the month before whose end the dashboard warns."""

_MAIL_SECRET, _DMP_SECRET = "mssante.secret", "homologation.secret"
_MAIL_TLS = f'tls = {{ ca = "{SANDBOX}/mssante/ca.pem", cert = "{SANDBOX}/mssante/client.pem" }}'


@dataclass(frozen=True, slots=True)
class Outside:
    """What plays the national services."""

    operator: MailOperator
    dmp: DmpSandbox


@asynccontextmanager
async def outside(folder: Path, patients: Sequence[Person] = (ROSE,)) -> AsyncIterator[Outside]:
    """Run the operator and the DMP on free ports while the block runs; `folder` is the router's.

    `patients` allow the doctor who consults on their DMP.
    """
    place = folder / SANDBOX
    mail = MailOperator(place / "mssante", authority=MailAuthority(lasts=_LASTS))
    async with mail as operator, DmpSandbox(place / "dmp") as dmp:
        with dmp.store.writing():
            for patient in patients:
                dmp.store.authorise(key_of(patient), Authorisation(idnat(PRESCRIBER), "VALIDE", treating=False))
        yield Outside(operator, dmp)


def furnish(folder: Path) -> None:
    """Put what these sections name beside the configuration: the validation package, and the files of the secrets."""
    shutil.copytree(PACKAGE, folder / "validation")
    write_secret(folder / _MAIL_SECRET, SECRET.encode())
    write_secret(folder / _DMP_SECRET, b"SANDBOX")


def mail_sections(services: Outside) -> str:
    """Write the sections of a mailbox that is read and answered, and of the practitioner who is written to."""
    ports = services.operator.ports
    return f"""\
# --- MSSanté: one mailbox, of the application, read by IMAP; the practitioner is written to by the same operator.

[sources.messagerie]
connector = "mssante"
format = "mail"               # documents in IHE_XDM.ZIP, HPRIM files, notes, and what recipients answer
address = "localhost:{ports.imap}"
account = "{ROUTER}"
login = {{ password = "${{file:{_MAIL_SECRET}}}" }}
{_MAIL_TLS}
allowed_domains = ["{DOMAIN}"]
every = 5.0                   # the server tells of new mails at once: this is for tidings that get lost

[sources.messagerie.answers]  # reading notifications (MDN), where a sender asks for one
address = "localhost:{ports.submission}"
account = "{ROUTER}"
login = {{ password = "${{file:{_MAIL_SECRET}}}" }}
{_MAIL_TLS}

[destinations.messagerie-medecin]
connector = "mssante"
format = "mail"
address = "localhost:{ports.submission}"
account = "{ROUTER}"
login = {{ password = "${{file:{_MAIL_SECRET}}}" }}
{_MAIL_TLS}
allowed_domains = ["{DOMAIN}"]

[destinations.messagerie-medecin.options]
from = "{ROUTER}"
from_label = "Coordination"
to = "{DOCTOR}"
mdn = "yes"                   # notes too: the coordination wants to know whether they were read
"""


def dmp_sections(services: Outside) -> str:
    """Write the sections of the DMP: what the hospital submits as a structure, what a doctor may consult."""
    held = f"{SANDBOX}/dmp/certificates"
    common = f"""\
url = "{services.dmp.url}"
sector = "SA01"
oid = "{STRUCTURE_OID}"
homologation = "${{file:{_DMP_SECRET}}}"
"""

    def tables(section: str) -> str:
        return f"""\
[{section}.tls]               # ORG_AUTH_CLI: who connects
ca = "{held}/authority.pem"
cert = "{held}/org-auth-cli.pem"
key = "{held}/org-auth-cli.key"

[{section}.signature]         # ORG_SIGN: who vouches for what is sent
cert = "{held}/org-sign.pem"
key = "{held}/org-sign.key"

[{section}.user]
id = "8{PRESCRIBER.rpps}"
name = "{PRESCRIBER.family_name} {PRESCRIBER.given_name}"
profession = "10"
profession_label = "Médecin"
speciality = "SM26"
speciality_label = "Généraliste"
"""

    return f"""\
# --- The DMP: letters go there as the structure's, once they were checked; a doctor consults what others deposited.

[validation]
package = "validation"        # a few rules of the demonstration; with the real DMP, the package of the ANS

[destinations.dmp]
connector = "dmp"
{common}\
validate = "strict"           # what does not conform waits for a person, and does not leave by itself
learn_after_minutes = 0.2     # hours elsewhere: the real DMP asks not to search right after a submission
options = {{ source_id = "{STRUCTURE_OID}" }}

{tables("destinations.dmp")}
[sources.dmp]
connector = "dmp"
{common}\
mode = "DIRECTE"              # the certificate of a structure has no right to consult
profile = "MD"
every = 10.0                  # every hour is plenty elsewhere
per_minute = 600.0

{tables("sources.dmp")}"""
