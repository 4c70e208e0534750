"""Extractions of the Annuaire Santé with fictitious professionals, as large as one likes, drawn from a seed.

The numbers are nobody's (RPPS that begin with 999, FINESS that begin with 99), the domains end in `.invalid`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from connectors.sandbox.people import COMMUNES, MEN, NAMES, WOMEN

MAILBOX_COLUMNS = (
    "Type de BAL|Adresse BAL|Type Identifiant PP|Identifiant PP|Identification nationale PP|Type identifiant structure|"
    "Identification Structure|Service de rattachement|Civilité d'exercice|Nom d'exercice|Prénom d'exercice|"
    "Catégorie profession|Libellé de catégorie profession|Code Profession|Libellé Profession|Code savoir-faire|"
    "Libellé savoir-faire|Dématérialisation|Raison Sociale structure BAL|Enseigne commerciale structure BAL|"
    "L2COMPLEMENTLOCALISATION|L3COMPLEMENTDISTRIBUTION|L4NUMEROVOIE|L4COMPLEMENTNUMEROVOIE|NL4TYPEVOIE|L4LIBELLEVOIE|"
    "L5LIEUDITMENTION|L6LIGNEACHEMINEMENT|Code postal|Département|Pays"
)
"""The header of the extraction of mailboxes: 31 columns."""

_PROFESSIONS = (("10", "Médecin"), ("60", "Infirmier"), ("21", "Pharmacien"), ("70", "Masseur-Kinésithérapeute"))


def mailbox_lines(count: int, seed: int = 1) -> Iterator[str]:
    """Give the header, then `count` lines: nine in ten a person's, one in fifty on two lines for two structures."""
    draw = random.Random(seed)
    yield MAILBOX_COLUMNS
    made = 0
    while made < count:
        commune, postal_code, city = draw.choice(COMMUNES)
        finess = f"99{draw.randrange(10_000_000):07d}"
        place = f"|||{draw.randrange(1, 200)}||RUE|DES ESSAIS||{postal_code} {city}|{postal_code}|{commune[:2]}|FRANCE"
        name = f"STRUCTURE FICTIVE {draw.choice(NAMES)}"
        if draw.random() < 0.1:
            service = draw.choice(("SECRETARIAT", "BIOLOGIE", "CARDIOLOGIE", "URGENCES"))
            address = f"{service.lower()}.{made}@structure{finess[-4:]}.mssante.invalid"
            yield f"ORG|{address}||||1|{finess}|{service}||||||||||O|{name}||{place[1:]}"
            made += 1
            continue
        rpps = f"999{made:08d}"
        family = f"{draw.choice(NAMES)} {draw.choice(NAMES)}" if draw.random() < 0.3 else draw.choice(NAMES)
        given = draw.choice(WOMEN if draw.random() < 0.5 else MEN)
        code, label = draw.choice(_PROFESSIONS)
        address = f"{given}.{family}.{made}@medecin.mssante.invalid".replace(" ", "-").lower()
        person = f"PER|{address}|8|{rpps}|8{rpps}"
        who = f"||Dr|{family}|{given}|C|Civil|{code}|{label}|||O"
        yield f"{person}|1|{finess}{who}|{name}||{place[1:]}"
        made += 1
        if draw.random() < 0.02 and made < count:
            other = f"99{draw.randrange(10_000_000):07d}"
            yield f"{person}|1|{other}{who}|{name} (SECOND)||{place[1:]}"
            made += 1


def write_extract(path: Path, count: int, seed: int = 1) -> None:
    """Write an extraction of mailboxes."""
    with path.open("w", encoding="utf-8", newline="") as file:
        for line in mailbox_lines(count, seed):
            file.write(line + "\n")
