"""What became of a scene at the national services: by the mailboxes, the DMP and the Deliveries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email import message_from_bytes
from email.message import Message
from email.policy import default

from connectors.sandbox.dmp import names
from connectors.sandbox.dmp.population import key_of
from connectors.sandbox.mail_people import DOCTOR, HOSPITAL, ROUTER
from connectors.sandbox.people import ROSE
from router.demo.scene import InDmp, Mailed
from router.demo.stage_outside import Outside

FILED = "Traites"
"""Where the router moves the mails that were processed."""

Sent = Mapping[str, str]
"""The states of a Message's Deliveries by destination."""


def of_mail(services: Outside, mail: Mailed, sent: Sent) -> str:
    """Say where a mail is and what was answered, in the words of `Mailed.promise`."""
    said: list[str] = []
    if mail.message_id:
        if any(one["Message-ID"] == mail.message_id for one in _mails(services, ROUTER, FILED)):
            said.append("filed")
        if any(_answers(one, mail.message_id) for one in _mails(services, HOSPITAL)):
            said.append("answered")
    if mail.words:
        if any(mail.words in " ".join(_text(one).split()) for one in _mails(services, DOCTOR)):
            said.append("at the GP")
        said.append(sent.get("messagerie-medecin", "not sent"))
    return ", ".join(said)


def of_dmp(services: Outside, document: InDmp, sent: Sent) -> str:
    """Say what the DMP has of a document under Mme Rose's INS, in the words of `InDmp.promise`."""
    said = [state for destination, state in sent.items() if destination == "dmp" and state != "acknowledged"]
    store = services.dmp.store
    for entry in store.entries(key_of(ROSE)):
        if entry.unique_id == document.unique_id:
            said.append(entry.status.rpartition(":")[2])
            links = store.associations_of([entry.uuid])
            if any(link.type == names.REPLACES and link.source == entry.uuid for link in links):
                said.append("replaces")
    return ", ".join(said)


def _mails(services: Outside, address: str, folder: str = "INBOX") -> Iterator[Message]:
    account = services.operator.opened(address)
    for content in account.contents(folder) if account is not None else ():
        yield message_from_bytes(content, policy=default)


def _text(mail: Message) -> str:
    parts = (part for part in mail.walk() if part.get_content_type() == "text/plain")
    return " ".join(bytes(part.get_payload(decode=True) or b"").decode("utf-8", "replace") for part in parts)


def _answers(mail: Message, message_id: str) -> bool:
    """Say whether a mail is a reading notification that names this one, and says that it was processed."""
    if mail.get_content_type() != "multipart/report":
        return False
    words = " ".join(part.as_string() for part in mail.walk() if not part.is_multipart() or part is not mail)
    return f"Original-Message-ID: {message_id}" in words and "; processed" in words
