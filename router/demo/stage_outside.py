"""The national services of the stage: an MSSanté operator and a DMP, both inside this process, both the sandbox's.

Their sections of the configuration, and the validation package by which documents are checked before the DMP.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.sandbox.dmp import DmpSandbox
from connectors.sandbox.mail_operator import MailOperator
from connectors.sandbox.mail_people import DOCTOR, DOMAIN, ROUTER, SECRET
from connectors.sandbox.people import PRESCRIBER

PACKAGE = Path(__file__).parent / "validation_package"
"""A few rules of our own: the ANS's package is not shipped."""

STRUCTURE_OID = "1.2.250.1.999.67"
"""The invented installation, as the DMP knows it."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What plays the national services. Certificates and documents live in `folder`, and go with it."""

    folder: Path
    operator: MailOperator
    dmp: DmpSandbox


@asynccontextmanager
async def outside(folder: Path) -> AsyncIterator[Outside]:
    """Run the operator and the DMP on free ports while the block runs."""
    async with MailOperator(folder / "mssante") as operator, DmpSandbox(folder / "dmp") as dmp:
        yield Outside(folder, operator, dmp)


def put_package(folder: Path) -> None:
    """Put the validation package beside the configuration."""
    shutil.copytree(PACKAGE, folder / "validation")


def mail_sections(services: Outside) -> str:
    """Write the sections of a mailbox that is read and answered, and of the practitioner who is written to."""
    ports, files = services.operator.ports, services.operator.files
    login = f"""\
account = "{ROUTER}"
tls = {{ ca = "{files.ca}", cert = "{files.client}" }}   # the operator's authorities, our certificate with its key
login = {{ password = "{SECRET}" }}                      # the sandbox's; else "${{file:mss/password}}"
"""
    return f"""\
# MSSanté: one mailbox of the application, read by IMAP; what its senders want to know is answered.

[sources.messagerie]
connector = "mssante"
format = "mail"               # documents in IHE_XDM.ZIP, HPRIM files, notes, and what recipients answer
address = "localhost:{ports.imap}"
{login}\
allowed_domains = ["{DOMAIN}"]
every = 5.0                   # the server tells of new mails at once; this is for tidings that get lost

[sources.messagerie.answers]  # reading notifications (MDN), where a sender asks for one
address = "localhost:{ports.submission}"
{login}
[destinations.messagerie-medecin]
connector = "mssante"
format = "mail"
address = "localhost:{ports.submission}"
{login}\
allowed_domains = ["{DOMAIN}"]
options = {{ from = "{ROUTER}", from_label = "Coordination", to = "{DOCTOR}", mdn = "yes" }}
"""


def dmp_sections(services: Outside) -> str:
    """Write the sections of the DMP: what the hospital submits as a structure, what a doctor may consult."""
    held = services.dmp.certificates
    common = f"""\
url = "{services.dmp.url}"
tls = {{ ca = "{held.authority}", cert = "{held.client.certificate}", key = "{held.client.key}" }}
signature = {{ cert = "{held.signer.certificate}", key = "{held.signer.key}" }}
sector = "SA01"
homologation = "SANDBOX"      # a secret with the real DMP: "${{file:homologation.secret}}"
oid = "{STRUCTURE_OID}"
"""
    user = f"""\
user = {{ id = "8{PRESCRIBER.rpps}", name = "{PRESCRIBER.family_name} {PRESCRIBER.given_name}", \
profession = "10", profession_label = "Médecin", speciality = "SM26", speciality_label = "Généraliste" }}
"""
    return f"""\
# The DMP: letters go there as the structure's, once they were checked; what others deposited is consulted as a doctor.

[validation]
package = "validation"        # a few rules of the demonstration; with the real DMP, the package of the ANS

[destinations.dmp]
connector = "dmp"
{common}{user}\
validate = "strict"           # what does not conform waits for a person, and never leaves by itself
options = {{ source_id = "{STRUCTURE_OID}" }}

[sources.dmp]
connector = "dmp"
mode = "DIRECTE"              # the certificate of a structure has no right to consult
profile = "MD"
{common}{user}\
every = 10.0                  # every hour is plenty elsewhere
per_minute = 600.0
"""
