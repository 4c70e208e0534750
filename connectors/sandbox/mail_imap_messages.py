"""What SEARCH finds and FETCH gives (RFC 3501 sections 6.4.4 and 6.4.5), for the sandbox's server: no I/O."""

from __future__ import annotations

from connectors.sandbox.mail_imap_words import (
    Malformed,
    Word,
    among,
    chosen,
    envelope,
    internal_date,
    literal,
    section,
    structure,
    text_of,
)
from connectors.sandbox.mail_store import Folder, Mail

SHORTHANDS = {
    "ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    "FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
}
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: rank for rank, name in enumerate(_NAMES, start=1)}


def matches(criteria: list[Word], rank: int, mail: Mail, folder: Folder) -> bool:
    """Say whether a mail is what SEARCH looks for. Raises Malformed for what is not known here."""
    rest = list(criteria)
    while rest:
        word = rest.pop(0)
        if isinstance(word, list):
            holds = matches(word, rank, mail, folder)
        else:
            holds = _holds(text_of(word).upper(), rest, rank, mail, folder)
        if not holds:
            return False
    return True


def _holds(key: str, rest: list[Word], rank: int, mail: Mail, folder: Folder) -> bool:
    flag = {"SEEN": "\\Seen", "DELETED": "\\Deleted", "ANSWERED": "\\Answered", "FLAGGED": "\\Flagged"}
    if key in flag:
        return flag[key] in mail.flags
    if key.startswith("UN") and key[2:] in flag:
        return flag[key[2:]] not in mail.flags
    match key:
        case "ALL":
            return True
        case "NOT":
            return not matches([rest.pop(0)], rank, mail, folder)
        case "UID":
            return among(mail.uid, chosen(text_of(rest.pop(0)), max(one.uid for one in folder.mails)))
        case "KEYWORD":
            return text_of(rest.pop(0)) in mail.flags
        case "UNKEYWORD":
            return text_of(rest.pop(0)) not in mail.flags
        case "SINCE":
            return _day(text_of(rest.pop(0))) <= (mail.arrived.year, mail.arrived.month, mail.arrived.day)
        case "HEADER":
            name, value = text_of(rest.pop(0)), text_of(rest.pop(0))
            found = section(f"BODY.PEEK[HEADER.FIELDS ({name})]", mail.content)
            return found is not None and value.lower().encode() in found[1].lower()
    if key[:1].isdigit() or key[:1] == "*":
        return among(rank, chosen(key, len(folder.mails)))
    raise Malformed(f"SEARCH {key} is not known here")


def fetched(item: str, mail: Mail, *, read_only: bool) -> bytes:
    """Answer one item of FETCH: its name and value; a body that is not peeked at marks the mail as read."""
    match item.upper():
        case "UID":
            return f"UID {mail.uid}".encode()
        case "FLAGS":
            return f"FLAGS ({' '.join(sorted(mail.flags))})".encode()
        case "INTERNALDATE":
            return f'INTERNALDATE "{internal_date(mail.arrived)}"'.encode()
        case "RFC822.SIZE":
            return f"RFC822.SIZE {len(mail.content)}".encode()
        case "ENVELOPE":
            return b"ENVELOPE " + envelope(mail.content)
        case "BODYSTRUCTURE" | "BODY":
            return item.upper().encode() + b" " + structure(mail.content)
        case "RFC822":
            mail.flags.add("\\Seen")
            return b"RFC822 " + literal(mail.content)
    found = section(item, mail.content)
    if found is None:
        raise Malformed(f"FETCH {item} is not known here")
    name, content, seen = found
    if seen and not read_only:
        mail.flags.add("\\Seen")
    return name + b" " + literal(content)


def _day(text: str) -> tuple[int, int, int]:
    day, month, year = text.split("-")
    return int(year), _MONTHS[month.lower()], int(day)
