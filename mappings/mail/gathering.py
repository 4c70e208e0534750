"""What a mail is made of for its reader: its text, its files, the pictures in its text, and the mails in it."""

from __future__ import annotations

from dataclasses import dataclass, field

from mappings.mail.mime import Part
from mappings.mail.smime import is_wrapped

_TEXTS = frozenset({"text/plain", "text/html"})


@dataclass(slots=True)
class Gathered:
    """The leaves of a mail by their part in it.

    `pictures` stand inside the HTML of the text (logos, signatures); `wrapped` are parts that are signed or encrypted.
    """

    texts: list[Part] = field(default_factory=list)
    files: list[Part] = field(default_factory=list)
    pictures: list[Part] = field(default_factory=list)
    mails: list[Part] = field(default_factory=list)
    wrapped: list[Part] = field(default_factory=list)

    def add(self, other: Gathered) -> None:
        """Take the leaves of what was wrapped."""
        for name in ("texts", "files", "pictures", "mails", "wrapped"):
            getattr(self, name).extend(getattr(other, name))


def gather(entity: Part) -> Gathered:
    """Sort the leaves of a mail; of several forms of one text (`multipart/alternative`) the plain one is taken."""
    found = Gathered()
    _into(found, entity, in_related=False, wants_text=True)
    return found


def _into(found: Gathered, part: Part, *, in_related: bool, wants_text: bool) -> None:
    if part.is_message:
        found.mails.append(part)
    elif is_wrapped(part):
        found.wrapped.append(part)
    elif part.media_type == "multipart/alternative" and part.children:
        plain = next((one for one in part.children if _is_text(one) and one.media_type == "text/plain"), None)
        best = plain or next((one for one in part.children if any(_is_text(leaf) for leaf in one.walk())), None)
        for child in part.children:
            _into(found, child, in_related=in_related, wants_text=wants_text and child is best)
    elif part.is_multipart:
        related = part.media_type == "multipart/related"
        for rank, child in enumerate(part.children):
            _into(found, child, in_related=in_related or (related and rank > 0), wants_text=wants_text)
    elif _is_text(part):
        if wants_text:
            found.texts.append(part)
    elif in_related and part.media_type.startswith("image/") and part.disposition != "attachment":
        found.pictures.append(part)
    elif not part.media_type.startswith("multipart/"):
        found.files.append(part)


def _is_text(part: Part) -> bool:
    return part.media_type in _TEXTS and part.disposition != "attachment" and part.filename is None
