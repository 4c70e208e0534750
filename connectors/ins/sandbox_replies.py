"""What the sandbox of INSi answers, with the irregularities of the real one: two prefixes, dates before numbers."""

from __future__ import annotations

from typing import Protocol
from xml.sax.saxutils import escape

_SOAP = "http://www.w3.org/2003/05/soap-envelope"
_RESULT = "http://www.cnamts.fr/INSiResultat"


class Held(Protocol):
    """A person as the sandbox holds one."""

    @property
    def birth_name(self) -> str:
        """Birth name."""

    @property
    def given_names(self) -> tuple[str, ...]:
        """Birth given names."""

    @property
    def sex(self) -> str:
        """F or M."""

    @property
    def birth_date(self) -> str:
        """YYYY-MM-DD."""

    @property
    def birth_place(self) -> str | None:
        """COG, None when INSi leaves it out."""

    @property
    def matricule(self) -> str:
        """15 characters."""

    @property
    def oid(self) -> str:
        """Authority."""

    @property
    def history(self) -> tuple[str, ...]:
        """Former matricules."""


def _envelope(body: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="{_SOAP}">'
        f'<S:Body xmlns:S="{_SOAP}">{body}</S:Body></soap:Envelope>'
    ).encode()


def result(code: str, label: str, individual: str = "") -> bytes:
    """Write a reply with its return code."""
    report = f"<CR><CodeCR>{code}</CodeCR><LibelleCR>{label}</LibelleCR></CR>"
    return _envelope(f'<RESULTAT xmlns="{_RESULT}">{report}{individual}</RESULTAT>')


def person(one: Held) -> str:
    """Write the person of a reply 00."""
    former = "".join(
        "<INSHISTO><DateDeb>2010-01-01</DateDeb><DateFin>2019-02-28</DateFin>"
        f"{_number(number)}<OID>{one.oid}</OID></INSHISTO>"
        for number in one.history
    )
    place = f"<LieuNaissance>{one.birth_place}</LieuNaissance>" if one.birth_place else ""
    traits = (
        f"<TIQ><NomNaissance>{escape(one.birth_name)}</NomNaissance>"
        f"<ListePrenom>{escape(' '.join(one.given_names))}</ListePrenom><Sexe>{one.sex}</Sexe>"
        f"<DateNaissance>{one.birth_date}</DateNaissance>{place}</TIQ>"
    )
    return f"<INDIVIDU><INSACTIF>{_number(one.matricule)}<OID>{one.oid}</OID></INSACTIF>{former}{traits}</INDIVIDU>"


def _number(matricule: str) -> str:
    body, key = matricule[:13], matricule[13:]
    return f"<IdIndividu><NumIdentifiant>{body}</NumIdentifiant><Cle>{key}</Cle></IdIndividu>"


def fault(side: str, subcode: str | None, code: str) -> bytes:
    """Write a SOAP fault as the service does: `severite="fatal"`, which its own schema does not have."""
    inner = f"<S:Subcode><S:Value>S:{subcode}</S:Value></S:Subcode>" if subcode else ""
    return _envelope(
        f"<S:Fault><S:Code><S:Value>S:{side}</S:Value>{inner}</S:Code>"
        '<S:Reason><S:Text xml:lang="fr">Erreur de la plateforme fictive</S:Text></S:Reason>'
        f'<S:Detail><siram:Erreur xmlns:siram="urn:siram" severite="fatal" code="{code}">Erreur fictive</siram:Erreur>'
        "</S:Detail></S:Fault>"
    )


TECHNICAL = fault("Receiver", "siram_40", "insi_102")
UNKNOWN_SOFTWARE = fault("Sender", "siram_100", "desir_550")
NO_RIGHTS = fault("Sender", "siram_100", "DESIR_560")
