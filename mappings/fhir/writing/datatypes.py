"""FHIR data types from canonical values: dates, codings, identifiers, names, telecoms, addresses, quantities."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import orjson

from mappings.fhir import systems
from mappings.fhir.writing.bundle import BundleBuilder, Resource, token
from schemas.actors import Address, Telecom
from schemas.base import PARTIAL_DATE_TIME
from schemas.coding import LOINC, UCUM, Coding, Identifier
from schemas.lab import (
    CodedValue,
    DateTimeValue,
    ObservationValue,
    QuantityValue,
    RangeValue,
    RatioValue,
    Reference,
    TextValue,
    Unit,
)

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_FHIR_CODE = re.compile(r"[^\s]+(?:\s[^\s]+)*")
_TIME = re.compile(r"(\d{2}:\d{2})(:\d{2}(?:\.\d+)?)?")
_COMPARATORS = frozenset({"<", "<=", ">=", ">"})

_TELECOM_SYSTEMS = {"phone": "phone", "mobile": "phone", "fax": "fax", "email": "email", "mssante": "email"}
_TELECOM_USES = {"home": "home", "work": "work", "temp": "temp", "old": "old", "mobile": "mobile"}
_V2_TELECOM_USES = {"PRN": "home", "ORN": "home", "WPN": "work", "VHN": "temp"}
_ADDRESS_USES = frozenset({"home", "work", "temp", "old", "billing"})
_V2_ADDRESS_USES = {"H": "home", "L": "home", "P": "home", "B": "work", "O": "work", "C": "temp", "BA": "old"}


def extension(name: str, key: str, value: object) -> Resource:
    """Write one of Passerelle's own extensions; `key` is the typed field (`valueString`)."""
    return {"url": systems.OUR_EXT + name, key: value}


def extend(target: Resource, *extensions: Resource) -> None:
    """Add extensions to a resource or element."""
    present = target.get("extension")
    if isinstance(present, list):
        present.extend(extensions)
    else:
        target["extension"] = list(extensions)


@lru_cache(maxsize=4096)
def date_time(text: str, zone: ZoneInfo) -> str | None:
    """Write a partial date or time as a FHIR `dateTime`, completed to seconds and offset; None if it is not one."""
    if not PARTIAL_DATE_TIME.fullmatch(text):
        return None
    try:
        if "T" in text:
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).isoformat()
        datetime.fromisoformat((text + "-01-01")[:10])
    except ValueError:
        return None
    return text


def put_instant(target: Resource, field: str, text: str | None, zone: ZoneInfo) -> None:
    """Set a FHIR `instant`; a date without a time, which an instant cannot be, goes into an extension of the field."""
    if text is None:
        return
    written = date_time(text, zone)
    if written is not None and "T" in written:
        target[field] = written
    else:
        key = "valueString" if written is None else "valueDateTime"
        target["_" + field] = {"extension": [extension("date", key, written or text)]}


def put_date_time(target: Resource, field: str, text: str | None, zone: ZoneInfo) -> None:
    """Set a FHIR `dateTime`; what no calendar has goes into an extension of the field, as sent."""
    if text is None:
        return
    written = date_time(text, zone)
    if written is not None:
        target[field] = written
    else:
        target["_" + field] = {"extension": [extension("date", "valueString", text)]}


def _plain(code: str) -> bool:
    """Tell a code that FHIR takes as it is, quickly for the usual ones."""
    return (code.isprintable() and " " not in code and code != "") or _FHIR_CODE.fullmatch(code) is not None


def coding(code: Coding, builder: BundleBuilder) -> Resource:
    """Write a coding; a code with blanks that FHIR forbids is sent with single blanks, the original beside it."""
    return _coding(code.system, code.code, code.display, builder.sender, builder.local_codes)


def _coding(system: str | None, code: str, display: str | None, sender: str, local_codes: str | None) -> Resource:
    out: Resource = {}
    if system is not None:
        out["system"] = systems.code_system_out(system, sender, local_codes)
    if _plain(code):
        out["code"] = code
    else:
        collapsed = " ".join(code.split())
        if collapsed:
            out["code"] = collapsed
        if code:
            extend(out, extension("original-code", "valueString", code))
    if display:
        out["display"] = display
    return out


def concept(codes: Iterable[Coding], text: str | None, builder: BundleBuilder) -> Resource:
    """Write codings and a text as a CodeableConcept (empty when there is neither)."""
    out: Resource = {}
    codings = [coding(code, builder) for code in codes]
    if codings:
        out["coding"] = codings
    if text:
        out["text"] = text
    return out


def identifier(given: Identifier, builder: BundleBuilder, use: str | None = None) -> Resource:
    """Write an identifier; one without an authority gets its sender's system."""
    out: Resource = {}
    if use:
        out["use"] = use
    if given.type:
        out["type"] = systems.type_concept(given.type)
    out["system"] = systems.identifier_system_out(given, builder.sender)
    out["value"] = given.value
    if given.assigner:
        out["assigner"] = {"display": given.assigner}
    return out


def usable(given: Iterable[Identifier]) -> list[Identifier]:
    """Leave out identifiers without a value: as a search criterion one would match everybody's."""
    return [one for one in given if one.value.strip()]


def criteria(given: Identifier, builder: BundleBuilder) -> str:
    """Write the search criterion that finds what bears this identifier."""
    return token(systems.identifier_system_out(given, builder.sender), given.value)


def telecom(given: Telecom) -> Resource:
    """Write a telecom; an MSSanté address is an e-mail with the FR Core extension that says so."""
    system = _TELECOM_SYSTEMS.get(given.kind, "other")
    out: Resource = {"system": system, "value": given.value}
    use = _TELECOM_USES.get(given.use or "") or _V2_TELECOM_USES.get(given.use or "")
    if given.kind == "mobile":
        out["use"] = "mobile"
    elif use:
        out["use"] = use
    if given.use and given.use != out.get("use"):
        extend(out, extension("use", "valueString", given.use))
    if given.kind == "mssante":
        extend(out, {"url": systems.EMAIL_TYPE, "valueCoding": {"system": systems.MAILBOXES, "code": "MSSANTE"}})
    elif given.kind not in _TELECOM_SYSTEMS and given.kind != "other":
        extend(out, extension("telecom-kind", "valueString", given.kind))
    return out


def insee_extension(code: str) -> Resource:
    """Write the COG code of a commune or country on an address, as FR Core does."""
    return {"url": systems.INSEE_CODE, "valueCoding": {"system": systems.COMMUNES, "code": code}}


def address(given: Address) -> Resource:
    """Write an address."""
    out: Resource = {}
    use = given.use if given.use in _ADDRESS_USES else _V2_ADDRESS_USES.get(given.use or "")
    if use:
        out["use"] = use
    if given.use and given.use != use:
        extend(out, extension("use", "valueString", given.use))
    if given.insee:
        extend(out, insee_extension(given.insee))
    lines = [line for line in given.lines if line]
    if lines:
        out["line"] = lines
    for field, value in (("city", given.city), ("postalCode", given.postal_code), ("country", given.country)):
        if value:
            out[field] = value
    return out


def number(text: str) -> orjson.Fragment:
    """Write a decimal with the very digits that it has."""
    return orjson.Fragment(number_text(text))


@lru_cache(maxsize=8192)
@lru_cache(maxsize=4096)
def number_text(text: str) -> str:
    """Give a decimal's digits as they are (`13.20`), put into JSON's grammar when they are not (`+.5`)."""
    if _JSON_NUMBER.fullmatch(text):
        return text
    sign = "-" if text.startswith("-") else ""
    mantissa, letter, exponent = text.lstrip("+-").replace("E", "e").partition("e")
    whole, _, decimals = mantissa.partition(".")
    return f"{sign}{whole.lstrip('0') or '0'}{'.' + decimals if decimals else ''}{letter}{exponent}"


def quantity(text: str, unit: Unit | None, comparator: str | None = None) -> Resource:
    """Write a Quantity: the unit as sent, its UCUM code where it is known."""
    out: Resource = {"value": number(text)}
    if comparator in _COMPARATORS:
        out["comparator"] = comparator
    if unit is not None:
        put_unit(out, unit)
    return out


def put_unit(target: Resource, unit: Unit) -> None:
    """Set the unit of a Quantity."""
    if unit.raw:
        target["unit"] = unit.raw
    if unit.ucum:
        target["system"] = UCUM
        target["code"] = unit.ucum


def put_value(target: Resource, value: ObservationValue, unit: Unit | None, builder: BundleBuilder) -> None:
    """Set `value[x]`. How the sender typed it is kept in an extension when it differs from what the value says."""
    match value:
        case QuantityValue():
            out = quantity(value.number, unit, value.comparator)
            _keep_writing(out, value.text, f"{value.comparator or ''}{value.number}")
            if value.comparator and value.comparator not in _COMPARATORS:
                extend(out, extension("comparator", "valueString", value.comparator))
            target["valueQuantity"] = out
            return
        case TextValue():
            if value.text:
                target["valueString"] = value.text
        case CodedValue():
            out = concept(value.codes, value.text, builder)
            if out:
                target["valueCodeableConcept"] = out
        case RatioValue():
            out = {"numerator": quantity(value.numerator, None, value.comparator)}
            out["denominator"] = quantity(value.denominator, None)
            plain = f"{value.comparator or ''}{value.numerator}{value.separator}{value.denominator}"
            _keep_writing(out, value.text, plain)
            if value.separator != ":":
                extend(out, extension("separator", "valueString", value.separator))
            target["valueRatio"] = out
        case RangeValue():
            out = {}
            if value.low is not None:
                out["low"] = quantity(value.low, unit)
            if value.high is not None:
                out["high"] = quantity(value.high, unit)
            _keep_writing(out, value.text, f"{value.low or ''}-{value.high or ''}")
            target["valueRange"] = out
            return
        case DateTimeValue():
            _put_moment(target, value, builder)
    if unit is not None:
        put_bare_unit(target, unit)


def put_bare_unit(target: Resource, unit: Unit) -> None:
    """Keep the unit of a result that is not a quantity."""
    bare: Resource = {}
    put_unit(bare, unit)
    extend(target, extension("unit", "valueQuantity", bare))


def _keep_writing(target: Resource, text: str | None, plain: str) -> None:
    if text and text != plain:
        extend(target, extension("as-written", "valueString", text))


def _put_moment(target: Resource, value: DateTimeValue, builder: BundleBuilder) -> None:
    time = _TIME.fullmatch(value.at)
    if time:
        field, written = "valueTime", value.at if time.group(2) else f"{value.at}:00"
    else:
        field, written = "valueDateTime", date_time(value.at, builder.zone) or ""
    if not written:
        target["valueString"] = value.at
        extend(target, extension("value-type", "valueCode", "datetime"))
        return
    target[field] = written
    if value.text and value.text != value.at:
        target["_" + field] = {"extension": [extension("as-written", "valueString", value.text)]}


def put_reference(target: Resource, given: Reference, unit: Unit | None) -> None:
    """Set the reference range: the bounds in the result's unit, and the text as sent."""
    raw, ucum = (unit.raw, unit.ucum) if unit is not None else ("", None)
    written = _reference(given.low, given.high, given.text, raw, ucum)
    if written is not None:
        target["referenceRange"] = written


@lru_cache(maxsize=8192)
def _reference(
    low: str | None, high: str | None, text: str | None, raw: str, ucum: str | None
) -> orjson.Fragment | None:
    """Write a range once: a laboratory's are the same from one patient to the next."""
    unit = Unit(raw=raw, ucum=ucum)
    out: Resource = {}
    if low is not None:
        out["low"] = quantity(low, unit)
    if high is not None:
        out["high"] = quantity(high, unit)
    if text:
        out["text"] = text
    return orjson.Fragment(orjson.dumps([out])) if out else None


def analysis_code(codes: tuple[Coding, ...], label: str | None, builder: BundleBuilder) -> orjson.Fragment:
    """Write what was analysed: its codes and label, or the generic code of a laboratory test when it has no code."""
    flat = tuple([part for code in codes for part in (code.system, code.code, code.display)])
    return _analysis_code(flat, label, builder.sender, builder.local_codes)


@lru_cache(maxsize=8192)
def _analysis_code(
    flat: tuple[str | None, ...], label: str | None, sender: str, local_codes: str | None
) -> orjson.Fragment:
    """Write a code once: a laboratory's catalogue is the same from one report to the next."""
    codings = [
        _coding(system, code or "", display, sender, local_codes)
        for system, code, display in zip(flat[::3], flat[1::3], flat[2::3], strict=True)
        if code or display
    ]
    out: Resource = {"coding": codings or [{"system": LOINC, "code": systems.UNCODED_TEST_CODE}]}
    if label:
        out["text"] = label
    return orjson.Fragment(orjson.dumps(out))
