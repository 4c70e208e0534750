"""INDEX.HTM and README.TXT: what a person who opens the archive by hand reads. They name the sender, never the patient.

(IHE ITI TF-2 §3.32.4.1.2.)
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_LINE = "\r\n"


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who makes the archive, and with which program."""

    name: str
    address: str | None = None
    phone: str | None = None
    application: str = "Passerelle"
    version: str | None = None
    editor: str | None = None


def index_htm(issuer: Issuer, documents: Sequence[tuple[str, str]]) -> bytes:
    """Write INDEX.HTM in XHTML Basic: the sender, and a link to each document (path and title)."""
    links = "".join(f'<li><a href="{html.escape(path)}">{html.escape(title)}</a></li>\n' for path, title in documents)
    name = html.escape(issuer.name)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML Basic 1.1//EN" "http://www.w3.org/TR/xhtml-basic/xhtml-basic11.dtd">\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="fr">\n'
        f"<head><title>{name}</title></head>\n"
        f"<body>\n<h1>{name}</h1>\n<p>Documents de santé transmis par {name}.</p>\n"
        f'<ul>\n{links}</ul>\n<p><a href="README.TXT">README.TXT</a></p>\n</body>\n</html>\n'
    ).encode()


def readme_txt(issuer: Issuer, names: Sequence[str]) -> bytes:
    """Write README.TXT in ASCII: the sender, the program, what to do with the archive, and its files."""
    lines = [
        "Emetteur",
        *_given(("Nom", issuer.name), ("Adresse", issuer.address), ("Telephone", issuer.phone)),
        "",
        "Application",
        *_given(("Nom", issuer.application), ("Version", issuer.version), ("Editeur", issuer.editor)),
        "",
        "Instructions",
        "  Cette archive suit le profil IHE XDM. Un logiciel de sante l'importe ;",
        "  INDEX.HTM permet de consulter les documents avec un navigateur.",
        "",
        "Contenu",
        *(f"  {name}" for name in names),
        "",
    ]
    return _LINE.join(_plain(line) for line in lines).encode("ascii")


def _given(*pairs: tuple[str, str | None]) -> list[str]:
    return [f"  {label} : {' '.join(value.split())}" for label, value in pairs if value]


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.replace("œ", "oe").replace("Œ", "OE"))
    return decomposed.encode("ascii", "ignore").decode("ascii")
