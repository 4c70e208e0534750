"""Fictitious people with valid test INS, drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import date, timedelta

INS_TEST_OID = "1.2.250.1.213.1.4.10"
"""The authority of the INS-NIR of test patients; never acceptable in production."""

HOSPITAL_NAME = "CH-FICTIF"
HOSPITAL_OID = "1.2.250.1.999.35.1"
"""The invented hospital that assigns the IPP of everybody here."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NAMES = _words(
    "LILAS BRUYERE GENET MIMOSA JASMIN TILLEUL NOISETIER CHARME ALOUETTE MESANGE HIRONDELLE GRANIT ARDOISE MAREE "
    "FALAISE LANDE CLAIRIERE SENTIER MOULIN CLOCHER PHARE CABAN VERGER FROMENT SARRASIN GALETTE CIDRE MURMURE LUCIOLE "
    "LIBELLULE CASTOR HERISSON RENARD MARTRE CHEVREUIL AUBEPINE PERVENCHE GLYCINE IRIS ROSEAU"
)
WOMEN = _words(
    "MARIE JEANNE MARGUERITE DENISE SIMONE MADELEINE YVETTE PAULETTE JACQUELINE MONIQUE NICOLE FRANCOISE COLETTE "
    "ODETTE SUZANNE GERMAINE LUCIENNE HUGUETTE ANNE-MARIE BERNADETTE CLAUDINE SOLANGE"
)
MEN = _words(
    "JEAN PIERRE ANDRE MICHEL RENE JACQUES ROGER MARCEL ROBERT HENRI LOUIS MAURICE GEORGES RAYMOND BERNARD CLAUDE "
    "LUCIEN GILBERT JEAN-PAUL FERNAND EMILE YVES"
)
COMMUNES = (
    ("35238", "35000", "RENNES"),
    ("29019", "29200", "BREST"),
    ("44109", "44000", "NANTES"),
    ("56260", "56000", "VANNES"),
    ("22278", "22000", "SAINT-BRIEUC"),
    ("75056", "75012", "PARIS"),
    ("59350", "59000", "LILLE"),
    ("67482", "67000", "STRASBOURG"),
    ("54395", "54000", "NANCY"),
    ("69123", "69003", "LYON"),
    ("13055", "13005", "MARSEILLE"),
    ("33063", "33000", "BORDEAUX"),
    ("31555", "31000", "TOULOUSE"),
    ("2A004", "20000", "AJACCIO"),
    ("2B033", "20200", "BASTIA"),
    ("97209", "97200", "FORT-DE-FRANCE"),
)
_OLDEST = date(1928, 1, 1)
_BIRTH_SPAN_DAYS = 40 * 365


def ins_key(body: str) -> str:
    """Compute the two-digit key of a 13-character NIR: 97 minus the number modulo 97, Corsica as 19 and 18."""
    number = int(body[:5] + body[5:7].replace("2A", "19").replace("2B", "18") + body[7:])
    return f"{97 - number % 97:02d}"


def matricule_of(sex: str, born: date, birth_place: str) -> str:
    """Make the 15-character matricule of an invented person: the order number 000 is never assigned to anybody."""
    body = f"{1 if sex == 'M' else 2}{born:%y%m}{birth_place}000"
    return body + ins_key(body)


@dataclass(frozen=True, slots=True)
class Person:
    """An invented patient, as a hospital's administrative file knows one.

    `birth_place` is a COG code, `matricule` a 15-character INS with a valid key (authority `INS_TEST_OID`), `ipp` the
    hospital's own number (authority `HOSPITAL_OID`).
    """

    ipp: str
    birth_name: str
    birth_given_names: tuple[str, ...]
    birth_date: date
    sex: str
    birth_place: str
    matricule: str
    postal_code: str
    city: str
    address: str
    phone: str
    used_name: str | None = None

    @property
    def laboratory_number(self) -> str:
        """The patient's number at the sandbox's laboratory, which knows nothing of the hospital's IPP."""
        return f"PAT{self.ipp[-6:]}"

    @property
    def given_name(self) -> str:
        """The first birth given name."""
        return self.birth_given_names[0]

    @property
    def civility(self) -> str:
        """`Mme` or `M.`."""
        return "Mme" if self.sex == "F" else "M."

    @property
    def daily_name(self) -> str:
        """The name used every day, else the birth name."""
        return self.used_name or self.birth_name


@dataclass(frozen=True, slots=True)
class Practitioner:
    """An invented professional; the RPPS has 11 digits and a valid Luhn key, in a range that is not assigned."""

    rpps: str
    family_name: str
    given_name: str


PRESCRIBER = Practitioner("99990000012", "TESTEUR", "CAMILLE")
BIOLOGIST = Practitioner("99990000020", "TESTBIOLOGISTE", "SACHA")


def _born_in(
    ipp: str, name: str, given_names: tuple[str, ...], born: date, sex: str, commune: tuple[str, str, str]
) -> Person:
    return Person(
        ipp=ipp,
        birth_name=name,
        birth_given_names=given_names,
        birth_date=born,
        sex=sex,
        birth_place=commune[0],
        matricule=matricule_of(sex, born, commune[0]),
        postal_code=commune[1],
        city=commune[2],
        address=f"{1 + int(ipp[-2:])} RUE DES ESSAIS",
        phone=f"01990{ipp[-5:]}",
    )


ROSE = _born_in("IPP000001", "TESTROSE", ("ROSE", "MARIE"), date(1938, 5, 12), "F", ("35238", "35000", "RENNES"))
"""Mme Rose TESTROSE, whose story the demonstration plays."""

STRANGER = _born_in("IPP099999", "TESTINCONNU", ("ALEX",), date(1951, 9, 3), "M", ("29019", "29200", "BREST"))
"""Somebody whom the coordination dossier does not know: their messages must be held for a person."""


WITHOUT_INS = _born_in(
    "IPP000901", "TESTSANSINS", ("JEANNE", "LUCIE"), date(1944, 2, 17), "F", ("44109", "44000", "NANTES")
)
"""Somebody whom the dossier knows by her traits alone: INSi has her INS."""

BY_USED_NAME = replace(
    _born_in("IPP000902", "TESTNAISSANCE", ("PAULE",), date(1947, 11, 30), "F", ("56260", "56000", "VANNES")),
    used_name="TESTUSUEL",
)
"""Somebody whom one laboratory knows by the name of every day, and by a number that nobody else knows."""

DOUBLE_IPP = "IPP000903"
"""A second IPP that the hospital gave Mme Rose by mistake, and merges."""


def population(count: int, seed: int = 1) -> tuple[Person, ...]:
    """Draw `count` people, Mme Rose first: distinct IPP and matricules, the same for the same seed.

    Raises ValueError past 90,000 people (the IPP has five digits that the stranger's must not meet).
    """
    if not 0 <= count <= 90_000:
        raise ValueError("a population has 0 to 90,000 people")
    draw = random.Random(seed)
    people = [ROSE][:count]
    taken = {ROSE.matricule, STRANGER.matricule}
    while len(people) < count:
        sex = draw.choice("FFM")
        person = _born_in(
            f"IPP{len(people) + 1:06d}",
            f"TEST{draw.choice(NAMES)}",
            tuple(draw.sample(WOMEN if sex == "F" else MEN, draw.choice((1, 2, 2, 3)))),
            _OLDEST + timedelta(days=draw.randrange(_BIRTH_SPAN_DAYS)),
            sex,
            draw.choice(COMMUNES) if draw.random() < 0.7 else _village(draw),
        )
        if sex == "F" and draw.random() < 0.5:
            person = replace(person, used_name=f"TEST{draw.choice(NAMES)}")
        if person.matricule not in taken:
            taken.add(person.matricule)
            people.append(person)
    return tuple(people)


def _village(draw: random.Random) -> tuple[str, str, str]:
    department = draw.choice([number for number in range(1, 96) if number != 20])
    return f"{department:02d}{draw.randrange(1, 900):03d}", f"{department:02d}000", "VILLE-TEST"
