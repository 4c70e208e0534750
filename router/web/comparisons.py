"""Two identities as rows of a table: what was sent, what is known, how they agree, the differing characters marked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from router.desk.marking import Marked, Part, marked
from router.identity.comparison import Agreement, Comparison, compare, first_given_name
from router.web.actors import identifier
from router.web.formatting import Formats
from schemas.coding import Identifier
from schemas.identity import PatientIdentity
from schemas.traits import first_in_list, loosened

_SHOWN_DIFFERENT = frozenset({Agreement.DIFFERENT, Agreement.QUASI})


@dataclass(frozen=True, slots=True)
class Row:
    """One trait. `label` is a key of `fact.`; each side is a list of lines; `agreement` is None where none is said.

    `strict` rows are the traits that an INS consists of, and its number.
    """

    label: str
    sent: tuple[Marked, ...]
    known: tuple[Marked, ...]
    agreement: Agreement | None = None
    strict: bool = False


def rows(sent: PatientIdentity, known: PatientIdentity | None, formats: Formats) -> list[Row]:
    """Compare two identities row by row; with nobody to compare with, only what was sent."""
    other = known if known is not None else PatientIdentity()
    traits = compare(sent, other) if known is not None else None
    found = [*_names(sent, other, traits), *_birth(sent, other, traits, formats)]
    found += [_ins(sent, other), _identifiers(sent, other), *_beside(sent, other, formats)]
    return [row for row in found if row.sent or row.known]


def _names(sent: PatientIdentity, known: PatientIdentity, traits: Comparison | None) -> Iterator[Row]:
    unkinded = sent.family_name is not None and sent.birth_name is None
    names = (sent.birth_name or sent.family_name, known.birth_name or known.family_name)
    yield _row("family_name" if unkinded else "birth_name", *names, _of(traits, "birth_name"), strict=True)
    yield _row("used_name", sent.used_name, known.used_name, _loose(sent.used_name, known.used_name))
    given = (first_given_name(sent), first_given_name(known))
    yield _row("first_given_name", *given, _of(traits, "first_given_name"), strict=True)
    if max(len(sent.birth_given_names), len(known.birth_given_names)) > 1:
        lists = (" ".join(sent.birth_given_names), " ".join(known.birth_given_names))
        yield _row("given_names", *lists, _loose(*lists))
    used = (sent.used_given_name, known.used_given_name)
    yield _row("used_given_name", *used, _loose(*used))


def _birth(sent: PatientIdentity, known: PatientIdentity, traits: Comparison | None, formats: Formats) -> Iterator[Row]:
    dates = (formats.partial(sent.birth_date), formats.partial(known.birth_date))
    yield _row("birth_date", *dates, _of(traits, "birth_date"), strict=True)
    yield _row("sex", _sex(sent, formats), _sex(known, formats), _of(traits, "sex"), strict=True)
    yield _row("birth_place", _place(sent), _place(known), _of(traits, "birth_place"), strict=True)


def _sex(identity: PatientIdentity, formats: Formats) -> str | None:
    return str(formats.texts.word("sex", identity.sex.value)) if identity.sex is not None else None


def _place(identity: PatientIdentity) -> str:
    return " ".join(part for part in (identity.birth_place, identity.birth_place_name) if part)


def _ins(sent: PatientIdentity, known: PatientIdentity) -> Row:
    one, other = sent.ins, known.ins
    agreement = None
    if one is not None and other is not None:
        agreement = Agreement.EQUAL if one == other else Agreement.DIFFERENT
    # The authority on a line of its own: the same number under another one is no longer the same INS.
    pairs = [
        (one.matricule if one is not None else "", other.matricule if other is not None else ""),
        (one.oid if one is not None else "", other.oid if other is not None else ""),
    ]
    sides = [
        marked(*pair) if agreement is Agreement.DIFFERENT else (_plain(pair[0]), _plain(pair[1])) for pair in pairs
    ]
    left, right = (tuple(side[place] for side in sides if side[place]) for place in (0, 1))
    return Row("ins", left, right, agreement, strict=True)


def _identifiers(sent: PatientIdentity, known: PatientIdentity) -> Row:
    """Put the identifiers that both have first; that one has others contradicts nothing."""
    mine, theirs = (frozenset((one.system, one.value) for one in side.identifiers) for side in (sent, known))

    def lines(found: Sequence[Identifier]) -> tuple[Marked, ...]:
        ordered = sorted(found, key=lambda one: (one.system, one.value) not in mine & theirs)
        return tuple((Part(identifier(one), False),) for one in ordered)

    agreement = Agreement.EQUAL if mine & theirs else None
    return Row("identifiers", lines(sent.identifiers), lines(known.identifiers), agreement)


def _beside(sent: PatientIdentity, known: PatientIdentity, formats: Formats) -> Iterator[Row]:
    """Give what helps a person and is compared by nobody: status, address, telephone."""
    for label, read in _BESIDE.items():
        yield _lines(label, read(sent, formats), read(known, formats))


def _status(identity: PatientIdentity, formats: Formats) -> list[str]:
    return [str(formats.texts.word("identity_status", identity.status.value))] if identity.status is not None else []


def _attributes(identity: PatientIdentity, formats: Formats) -> list[str]:
    return [str(formats.texts.word("identity_attribute", one.value)) for one in identity.attributes]


def _addresses(identity: PatientIdentity, _formats: Formats) -> list[str]:
    return [" ".join((*one.lines, one.postal_code or "", one.city or "")).strip() for one in identity.addresses]


def _telecoms(identity: PatientIdentity, _formats: Formats) -> list[str]:
    return [one.value for one in identity.telecoms]


_BESIDE: dict[str, Callable[[PatientIdentity, Formats], list[str]]] = {
    "identity_status": _status,
    "identity_attributes": _attributes,
    "addresses": _addresses,
    "telecoms": _telecoms,
}


def _lines(label: str, sent: list[str], known: list[str]) -> Row:
    one, other = (tuple((Part(line, False),) for line in side if line) for side in (sent, known))
    return Row(label, one, other)


def _row(label: str, sent: str | None, known: str | None, agreement: Agreement | None, *, strict: bool = False) -> Row:
    one, other = sent or "", known or ""
    if agreement in _SHOWN_DIFFERENT:
        left, right = marked(one, other)
    else:
        left, right = _plain(one), _plain(other)
    return Row(label, (left,) if left else (), (right,) if right else (), agreement, strict)


def _plain(text: str) -> Marked:
    return (Part(text, False),) if text else ()


def _of(traits: Comparison | None, name: str) -> Agreement | None:
    found: Agreement | None = getattr(traits, name) if traits is not None else None
    return found


def _loose(one: str | None, other: str | None) -> Agreement | None:
    """Compare what is no strict trait: said only where both state it."""
    if not one or not other:
        return None
    return Agreement.EQUAL if loosened(one) == loosened(other) else Agreement.DIFFERENT


def hints(sent: PatientIdentity, known: PatientIdentity) -> list[str]:
    """Name the usual causes of a difference that two identities show: keys of `identity.hint_`."""
    return [*_name_hints(sent, known), *_date_hints(sent.birth_date or "", known.birth_date or "")]


def _name_hints(sent: PatientIdentity, known: PatientIdentity) -> Iterator[str]:
    family, other = (loosened(one.birth_name or one.family_name or "") for one in (sent, known))
    first, other_first = (loosened(first_given_name(one) or "") for one in (sent, known))
    if family and other and family != other:
        if family == loosened(known.used_name or ""):
            yield "used_as_birth"
        if other == loosened(sent.used_name or ""):
            yield "birth_as_used"
        if family == other_first and first == other:
            yield "names_swapped"
    if first and other_first and not first_in_list(first, other_first) and not first_in_list(other_first, first):
        given = {loosened(one) for one in (*known.birth_given_names, known.used_given_name or "")}
        if first in given:
            yield "other_given_name"


def _date_hints(one: str, other: str) -> Iterator[str]:
    if len(one) != 10 or len(other) != 10 or one == other:
        return
    if (one[:4], one[5:7], one[8:]) == (other[:4], other[8:], other[5:7]):
        yield "day_and_month"
    elif sum(a != b for a, b in zip(one, other, strict=True)) == 1:
        yield "one_digit"
