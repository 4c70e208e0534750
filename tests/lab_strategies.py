"""Realistic, obviously fictitious laboratory reports for property tests, and a view of what is clinical in them.

`from lab_strategies import clinical_view, lab_items`: every report of `lab_items()` is one that a French laboratory
could send. What only some formats carry is off by default and named in `extras`; `without` leaves a feature out.

    extras    previous     earlier results beside the new ones
              nested       chapters inside chapters
              parent       an antibiogram chapter that details an organism
              attachments  a small PDF beside the results
              text         the human-readable report
              special      delimiters of ER7 and HPRIM, markup, backslashes and typographic signs in texts
    without   coded ratio range datetime multiline second specimens cancelled method comments references flags
              times titles loinc local identity conclusion
"""

from __future__ import annotations

import base64
from collections.abc import Collection
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from schemas.actors import Organization, Professional
from schemas.attachment import Attachment
from schemas.coding import LOCAL, LOINC, Coding, Identifier
from schemas.identifiers import PROFESSIONALS, STRUCTURES, check_matricule
from schemas.identity import IdentityStatus, Ins, PatientIdentity, Sex
from schemas.item import LabReportItem, Provenance
from schemas.lab import (
    CodedValue,
    DateTimeValue,
    LabChapter,
    LabReport,
    Observation,
    ObservationValue,
    ParentResult,
    PreviousResult,
    QuantityValue,
    RangeValue,
    RatioValue,
    Reference,
    ResultStatus,
    SecondResult,
    Specimen,
    TextValue,
    Unit,
)
from schemas.units import ucum_of

PARIS = ZoneInfo("Europe/Paris")

# label, LOINC or None, local code, unit, typical value, second unit or None
ANALYTES = (
    ("Hémoglobine", "718-7", "HB", "g/dL", "13.2", "mmol/L"),
    ("Hématies", "789-8", "GR", "T/L", "4.51", None),
    ("Leucocytes", "6690-2", "GB", "G/L", "6.80", "/mm3"),
    ("Plaquettes", "777-3", "PLQ", "G/L", "245", None),
    ("Polynucléaires neutrophiles", "26499-4", "PNN", "G/L", "3.9", "%"),
    ("V.G.M.", "30428-7", "VGM", "µm3", "88.0", None),
    ("Glycémie à jeun", "40193-5", "GLY", "mmol/L", "5.30", "g/L"),
    ("Créatinine", "14682-9", "CREA", "µmol/L", "71", "mg/L"),
    ("Potassium", "2823-3", "K", "mmol/L", "4.0", None),
    ("C Réactive Protéine", "1988-5", "CRP", "mg/L", "0.50", None),
    ("T.S.H.", "3016-3", "TSH", "mUI/L", "2.310", None),
    ("Gamma G.T.", "2324-2", "GGT", "UI/L", "31", None),
    ("Œstradiol", None, "E2", "pg/mL", "120", None),
    ("Débit de filtration glomérulaire", "62238-1", "DFG", "ml/min/1,73m2", "90", None),
    ("Indice maison", None, "IND 020", "unités", "7", None),
)
TITLES = ("HÉMATOLOGIE", "BIOCHIMIE SANGUINE", "HORMONOLOGIE", "BACTÉRIOLOGIE", "SÉROLOGIE", "EXAMEN CYTOLOGIQUE")
SENTENCES = (
    "Résultat contrôlé sur le même prélèvement.",
    "À corréler à la clinique.",
    "Sérum légèrement hémolysé, interprétation prudente.",
    "Valeur déjà élevée le mois passé, contrôle à 15 jours conseillé.",
    "Technique : électrophorèse capillaire (méthode n° 2, 37 °C).",
    "Seuil abaissé à 5 µg/L depuis l'été.",
)
SPECIAL_SENTENCES = (
    "Dilution 1|2 puis 1^3 ~ voir \\T\\ & <b>note</b> \\.br\\ # ",
    "Rapport 50\\mg, « cœur » – l’avis du biologiste… \\X41\\ \\E",
    "****FIN**** n'est pas une fin ; TEX|RES|H|~^\\&",
)
TEXT_RESULTS = ("Absence", "Présence", "Négatif", "Limpide", "Rares cellules épithéliales", "+", "Non détecté")
CODED_RESULTS = (
    ("http://snomed.info/sct", "260385009", "Négatif"),
    ("http://snomed.info/sct", "112283007", "Escherichia coli"),
    (LOCAL, "POS", "Positif"),
    (LOCAL, "GRPA+", "Groupe A Rhésus positif"),
)
FAMILY_NAMES = ("TESTROSE", "FICTIVE-DURAND", "EXEMPLE D'ESSAI", "TÉMOIN-ÉLÉGANT", "FACTICE")
GIVEN_NAMES = ("MARIE", "ZOÉ", "JEAN-FICTIF", "ANAÏS", "FRANÇOIS")
FLAGS = ("N", "H", "L", "HH", "LL", "A")
STATUSES = (*[ResultStatus.FINAL] * 3, ResultStatus.PRELIMINARY, ResultStatus.CORRECTED)
REPORT_STATUSES = (*[ResultStatus.FINAL] * 2, ResultStatus.PARTIAL, ResultStatus.CORRECTED)
IDENTITY_STATUSES = (IdentityStatus.QUALIFIED, IdentityStatus.VALIDATED, IdentityStatus.PROVISIONAL, None)
COMPARATORS = (None, None, None, None, "<", "<=", ">", ">=")


def _sentence(extras: Collection[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(SENTENCES + (SPECIAL_SENTENCES if "special" in extras else ()))


def _comments(extras: Collection[str], without: Collection[str]) -> st.SearchStrategy[str | None]:
    if "comments" in without:
        return st.none()
    lines = st.lists(_sentence(extras), min_size=1, max_size=1 if "multiline" in without else 3)
    return st.none() | lines.map(lambda some: "\n".join(line.strip() for line in some))


@st.composite
def instants(draw: st.DrawFn) -> str:
    """A date and time with the offset of Paris, as text."""
    start = datetime(2026, 1, 1, tzinfo=PARIS)
    moment = start + timedelta(seconds=draw(st.integers(0, 300 * 86_400)))
    return moment.astimezone(timezone(moment.utcoffset() or timedelta(0))).isoformat(timespec="seconds")


@st.composite
def decimals(draw: st.DrawFn, typical: str) -> str:
    """A number with as many decimals as the analyte is given with, trailing zeros included."""
    places = len(typical.partition(".")[2])
    top = int(Decimal(typical).scaleb(places)) * 3 + 10
    return str(Decimal(draw(st.integers(0, top))).scaleb(-places))


@st.composite
def _references(draw: st.DrawFn, typical: str) -> Reference:
    low, high = sorted((draw(decimals(typical)), draw(decimals(typical))), key=Decimal)
    match draw(st.sampled_from(["both", "both", "low", "high", "text"])):
        case "both":
            return Reference(low=low, high=high, text=f"{low} - {high}")
        case "low":
            return Reference(low=low, text=f"> {low}")
        case "high":
            return Reference(high=high, text=f"< {high}")
    return Reference(text=draw(st.sampled_from(["Négatif", "Absence", "voir commentaire"])))


@st.composite
def _quantities(draw: st.DrawFn, typical: str) -> QuantityValue:
    number, comparator = draw(decimals(typical)), draw(st.sampled_from(COMPARATORS))
    return QuantityValue(number=number, comparator=comparator, text=f"{comparator or ''}{number}")


@st.composite
def _other_values(draw: st.DrawFn, extras: Collection[str], without: Collection[str]) -> ObservationValue:
    kinds = [kind for kind in ("text", "coded", "ratio", "range", "datetime") if kind not in without]
    match draw(st.sampled_from(kinds)):
        case "coded":
            system, code, label = draw(st.sampled_from(CODED_RESULTS))
            return CodedValue(codes=(Coding(system=system, code=code, display=label),), text=label)
        case "ratio":
            denominator = draw(st.sampled_from(["40", "80", "1280"]))
            return RatioValue(numerator="1", denominator=denominator, separator=":", text=f"1:{denominator}")
        case "range":
            low = draw(st.integers(0, 20))
            return RangeValue(low=str(low), high=str(low + 5), text=f"{low}-{low + 5}")
        case "datetime":
            day = draw(st.dates(datetime(2025, 1, 1).date(), datetime(2026, 1, 1).date()))  # noqa: DTZ001 a day
            return DateTimeValue(at=day.isoformat())
    lines = draw(st.lists(_sentence(extras), max_size=0 if "multiline" in without else 2))
    return TextValue(text="\n".join([draw(st.sampled_from(TEXT_RESULTS)), *(line.strip() for line in lines)]))


def _unit(raw: str | None) -> Unit | None:
    return Unit(raw=raw, ucum=ucum_of(raw)) if raw else None


@st.composite
def _observations(
    draw: st.DrawFn, extras: Collection[str], without: Collection[str], specimen: str | None
) -> Observation:
    label, loinc, local, unit, typical, second_unit = draw(st.sampled_from(ANALYTES))
    codes = []
    if loinc and "loinc" not in without and draw(st.booleans()):
        codes.append(Coding(system=LOINC, code=loinc, display=label))
    if "local" not in without or not codes:
        codes.append(Coding(system=LOCAL, code=local, display=label))
    numeric = draw(st.integers(0, 9)) < 7
    value: ObservationValue | None = draw(_quantities(typical) if numeric else _other_values(extras, without))
    status = draw(st.sampled_from(STATUSES))
    if "cancelled" not in without and draw(st.integers(0, 14)) == 0:
        value, status = None, draw(st.sampled_from([ResultStatus.CANCELLED, ResultStatus.REGISTERED]))
    second = None
    if numeric and value is not None and second_unit and "second" not in without and draw(st.booleans()):
        second = SecondResult(
            value=QuantityValue(number=(number := draw(decimals("10.0"))), text=number),
            unit=_unit(second_unit),
            reference=draw(st.none() | _references("10.0").filter(lambda bounds: bounds.low and bounds.high)),
        )
    previous: tuple[PreviousResult, ...] = ()
    if "previous" in extras and numeric and draw(st.booleans()):
        previous = (PreviousResult(value=draw(_quantities(typical)), unit=_unit(unit), effective_at=draw(instants())),)
    flagged = numeric and value is not None and "flags" not in without
    return Observation(
        label=label,
        codes=tuple(codes),
        value=value,
        unit=_unit(unit) if numeric and value is not None else None,
        reference=draw(st.none() | _references(typical)) if numeric and "references" not in without else None,
        flags=draw(st.lists(st.sampled_from(FLAGS), max_size=1).map(tuple)) if flagged else (),
        status=status,
        effective_at=draw(st.none() | instants()) if "times" not in without else None,
        method=Coding(code="IMMUNO", system=LOCAL, display="Immunodosage")
        if "method" not in without and draw(st.integers(0, 5)) == 0
        else None,
        specimen=specimen,
        second=second,
        previous=previous,
        comment=draw(_comments(extras, without)),
    )


@st.composite
def _chapters(
    draw: st.DrawFn, extras: Collection[str], without: Collection[str], specimens: tuple[Specimen, ...], depth: int = 0
) -> LabChapter:
    specimen = draw(st.sampled_from([None, *(one.id for one in specimens)]))
    title = None if "titles" in without else draw(st.sampled_from([None, *TITLES]))
    parent = None
    if "parent" in extras and draw(st.integers(0, 3)) == 0:
        parent = ParentResult(code=Coding(system=LOCAL, code="GERME"), sub_id="1", text="Escherichia coli")
    deeper = st.lists(_chapters(extras, without, specimens, depth + 1), max_size=2)
    return LabChapter(
        title=title,
        codes=(Coding(system=LOCAL, code="NFS", display=title),) if title and draw(st.booleans()) else (),
        comment=draw(_comments(extras, without)) if title else None,
        parent=parent,
        observations=tuple(draw(st.lists(_observations(extras, without, specimen), min_size=1, max_size=3))),
        chapters=tuple(draw(deeper)) if "nested" in extras and depth == 0 else (),
    )


@st.composite
def patients(draw: st.DrawFn) -> PatientIdentity:
    """Somebody who does not exist: test INS when qualified, an IPP always."""
    sex = draw(st.sampled_from([Sex.FEMALE, Sex.MALE]))
    born = draw(st.dates(datetime(1930, 1, 1).date(), datetime(2015, 12, 31).date()))  # noqa: DTZ001 a day
    given = tuple(draw(st.lists(st.sampled_from(GIVEN_NAMES), min_size=1, max_size=3, unique=True)))
    status = draw(st.sampled_from(IDENTITY_STATUSES))
    ins = None
    if status is IdentityStatus.QUALIFIED:
        body = f"{'2' if sex is Sex.FEMALE else '1'}{born:%y%m}99999000"[:13]
        ins = Ins(matricule=body + (check_matricule(body).key or ""), oid="1.2.250.1.213.1.4.10")
    return PatientIdentity(
        ins=ins,
        status=status,
        identifiers=(Identifier(system="urn:oid:2.999.1", value=f"IPP-{draw(st.integers(1, 9999))}", type="PI"),),
        birth_name=draw(st.sampled_from(FAMILY_NAMES)),
        birth_given_names=given,
        first_given_name=given[0],
        birth_date=born.isoformat(),
        sex=sex,
        birth_place="99139" if ins else None,
    )


PRESCRIBER = Professional(
    identifiers=(Identifier(system=PROFESSIONALS, value="99700000017", type="RPPS"),),
    family_name="TESTEUR",
    given_name="Hélène",
)
LABORATORY = Organization(
    name="LABORATOIRE FICTIF DES ÉRABLES",
    identifiers=(Identifier(system=STRUCTURES, value="990000009", type="FINEG"),),
)


@st.composite
def lab_items(draw: st.DrawFn, *, extras: Collection[str] = (), without: Collection[str] = ()) -> LabReportItem:
    """Laboratory reports, as the module describes them."""
    collected = draw(instants())
    specimens: tuple[Specimen, ...] = ()
    if "specimens" not in without and draw(st.booleans()):
        blood = Coding(system=LOCAL, code="SG", display="Sang veineux")
        urine = Coding(system=LOCAL, code="UR", display="Urines")
        kinds = draw(st.sampled_from([(blood,), (blood, urine)]))
        specimens = tuple(Specimen(id=f"S{n}", type=kind, collected_at=collected) for n, kind in enumerate(kinds, 1))
    pdf = Attachment(
        media_type="application/pdf",
        title="Compte rendu",
        filename="compte-rendu.pdf",
        size=9,
        data=base64.b64encode(b"%PDF-1.4\n").decode(),
    )
    number = draw(st.integers(1, 10**6))
    report = LabReport(
        report_id=f"FICT{number}",
        order_id=draw(st.none() | st.just(f"DEM{number}")),
        status=draw(st.sampled_from(REPORT_STATUSES)),
        collected_at=collected,
        issued_at=draw(instants()),
        laboratory=LABORATORY,
        prescriber=draw(st.none() | st.just(PRESCRIBER)),
        conclusion=None if "conclusion" in without else draw(st.none() | _sentence(extras)),
        text="Compte rendu lisible\n\nde deux paragraphes." if "text" in extras and draw(st.booleans()) else None,
        specimens=specimens,
        chapters=tuple(draw(st.lists(_chapters(extras, without, specimens), min_size=1, max_size=3))),
        attachments=(pdf,) if "attachments" in extras and draw(st.booleans()) else (),
    )
    return LabReportItem(
        id=f"{number:032x}",
        occurred_at=collected,
        patient=PatientIdentity(birth_name="TESTROSE") if "identity" in without else draw(patients()),
        sender=LABORATORY,
        content=report,
        source=Provenance(format="canonical", where="test"),
    )


def instant(text: str | None) -> object:
    """A partial date as itself, a date and time as an instant: offsets and missing seconds do not matter."""
    if text is None or "T" not in text:
        return text
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=PARIS)).astimezone(UTC)


def _number(text: str | None) -> str | None:
    """A decimal as its value and its precision."""
    return None if text is None else str(Decimal(text))


def _text(text: str | None) -> str | None:
    return None if text is None else "\n".join(line.rstrip() for line in text.strip("\n").split("\n")) or None


def value_view(value: ObservationValue | None) -> object:
    """What a value says, without how it was typed."""
    match value:
        case None:
            return None
        case QuantityValue():
            return ("quantity", value.comparator, _number(value.number))
        case CodedValue():
            return ("coded", frozenset((code.system, code.code) for code in value.codes), _text(value.text))
        case TextValue():
            return ("text", _text(value.text))
        case RatioValue():
            return ("ratio", value.comparator, _number(value.numerator), value.separator, _number(value.denominator))
        case RangeValue():
            return ("range", _number(value.low), _number(value.high))
        case DateTimeValue():
            return ("datetime", instant(value.at))


def reference_view(reference: Reference | None) -> object:
    """The bounds; the text alone when there are none."""
    if reference is None or not (reference.low or reference.high or reference.text):
        return None
    if reference.low is None and reference.high is None:
        return ("text", _text(reference.text))
    return ("bounds", _number(reference.low), _number(reference.high))


def _unit_view(unit: Unit | None) -> object:
    return None if unit is None else (unit.raw, unit.ucum)


def _codes(codes: tuple[Coding, ...]) -> object:
    return frozenset((code.system, code.code) for code in codes)


def observation_view(observation: Observation, specimens: dict[str, Specimen]) -> dict[str, object]:
    """One result: label, codes, value, unit, reference, flags, status, times, method, specimen, second, previous."""
    second, specimen = observation.second, specimens.get(observation.specimen or "")
    return {
        "label": observation.label,
        "codes": _codes(observation.codes),
        "sub_id": observation.sub_id,
        "value": value_view(observation.value),
        "unit": _unit_view(observation.unit),
        "reference": reference_view(observation.reference),
        "flags": observation.flags,
        "status": observation.status,
        "effective_at": instant(observation.effective_at),
        "method": observation.method and (observation.method.system, observation.method.code),
        "specimen": specimen and specimen.type and (specimen.type.code, specimen.type.display),
        "second": second
        and (value_view(second.value), _unit_view(second.unit), reference_view(second.reference), second.flags),
        "previous": [
            (value_view(one.value), _unit_view(one.unit), instant(one.effective_at)) for one in observation.previous
        ],
        "comment": _text(observation.comment),
    }


def chapter_view(chapter: LabChapter, specimens: dict[str, Specimen]) -> dict[str, object]:
    """One chapter with its title, codes, comment, parent result, observations and chapters, in order."""
    return {
        "title": chapter.title,
        "codes": _codes(chapter.codes),
        "comment": _text(chapter.comment),
        "parent": chapter.parent and (chapter.parent.sub_id, _text(chapter.parent.text)),
        "observations": [observation_view(one, specimens) for one in chapter.observations],
        "chapters": [chapter_view(one, specimens) for one in chapter.chapters],
    }


def clinical_view(item: LabReportItem) -> dict[str, object]:
    """What must survive any translation of a report, in comparable form: instants, decimals with their precision.

    `report` is about the whole; `chapters` holds the results. Not in it: who (identities, laboratories), displays of
    codes, and how a number was typed.
    """
    report = item.content
    specimens = {specimen.id: specimen for specimen in report.specimens}
    return {
        "report": {
            "report_id": report.report_id,
            "order_id": report.order_id,
            "status": report.status,
            "collected_at": instant(report.collected_at),
            "issued_at": instant(report.issued_at),
            "conclusion": _text(report.conclusion),
            "comment": _text(report.comment),
            "text": _text(report.text),
            "attachments": [(file.media_type, file.data) for file in report.attachments],
        },
        "chapters": [chapter_view(chapter, specimens) for chapter in report.chapters],
    }
