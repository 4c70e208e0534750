"""Canonical values from FHIR data types."""

from __future__ import annotations

from mappings.fhir import systems
from mappings.fhir.reading.source import Entry, Source
from mappings.fhir.reading.taking import (
    Node,
    child,
    children,
    forget,
    said,
    take_element_id,
    take_extension,
    take_flag,
    take_moment,
    take_number,
    take_own_text,
    take_text,
    take_texts,
)
from schemas.actors import Address, Telecom
from schemas.coding import UCUM, Coding, Identifier
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
from schemas.units import ucum_of
from schemas.value_sets import FR_IDENTIFIER_TYPES, V2_IDENTIFIER_TYPES

_TYPE_SYSTEMS = frozenset({V2_IDENTIFIER_TYPES, FR_IDENTIFIER_TYPES})


def read_coding(node: Node, source: Source) -> Coding | None:
    """Read a Coding; one without a code is left to its display."""
    code = take_own_text(node, "original-code")
    sent = take_text(node, "code")
    code = code or sent
    if code is None:
        return None
    system = take_text(node, "system")
    forget(node, "version", "userSelected")
    return Coding(
        system=systems.code_system_in(system, source.local_codes) if system else None,
        code=code,
        display=take_text(node, "display"),
    )


def read_concept(node: Node | None, source: Source) -> tuple[tuple[Coding, ...], str | None]:
    """Read a CodeableConcept: its codings and its text (a coding with a display alone gives the text)."""
    if node is None:
        return (), None
    codes = []
    text = take_text(node, "text")
    for one in children(node, "coding"):
        code = read_coding(one, source)
        if code is not None:
            codes.append(code)
        elif text is None:
            text = take_text(one, "display")
    return tuple(codes), text


def read_one_code(node: Node | None, source: Source) -> Coding | None:
    """Read a CodeableConcept as one Coding: its first, else its text as a code without a system."""
    codes, text = read_concept(node, source)
    if codes:
        return codes[0] if codes[0].display or text is None else codes[0].model_copy(update={"display": text})
    return Coding(code=text, display=text) if text else None


def read_type(node: Node) -> str | None:
    """Read an identifier's type: its code in table 0203, French or international, else its text."""
    kind = child(node, "type")
    if kind is None:
        return None
    for one in children(kind, "coding"):
        if said(one, "system") in _TYPE_SYSTEMS or "system" not in one:
            code = take_text(one, "code")
            if code is not None:
                forget(one, "system", "display")
                forget(kind, "text")
                return code
    return take_text(kind, "text")


def read_identifier(node: Node) -> Identifier | None:
    """Read an Identifier; one without a value is nothing."""
    value = take_text(node, "value")
    if value is None:
        return None
    sent_type = read_type(node)
    system, kind = systems.identifier_system_in(take_text(node, "system"), sent_type)
    forget(node, "use")
    assigner = child(node, "assigner")
    return Identifier(
        system=system, value=value, type=kind, assigner=take_text(assigner, "display") if assigner else None
    )


def read_identifiers(entry: Entry) -> tuple[Identifier, ...]:
    """Read a resource's identifiers."""
    found = []
    for node in children(entry.resource, "identifier"):
        identifier = read_identifier(node)
        if identifier is not None:
            found.append(identifier)
    return tuple(found)


def read_telecom(node: Node) -> Telecom | None:
    """Read a ContactPoint; the FR Core extension tells an MSSanté mailbox from an ordinary e-mail."""
    value = take_text(node, "value")
    if value is None:
        return None
    system, use = take_text(node, "system"), take_text(node, "use")
    kind = system if system in {"phone", "fax", "email"} else take_own_text(node, "telecom-kind") or "other"
    if kind == "phone" and use == "mobile":
        kind, use = "mobile", None
    mailbox = take_extension(node, systems.EMAIL_TYPE)
    if mailbox is not None and said(child(mailbox, "valueCoding") or {}, "code") == "MSSANTE":
        kind = "mssante"
        forget(mailbox, "valueCoding")
    return Telecom(kind=kind, value=value, use=take_own_text(node, "use") or use)


def read_telecoms(node: Node) -> tuple[Telecom, ...]:
    """Read all the ContactPoints of a resource."""
    return tuple(one for one in map(read_telecom, children(node, "telecom")) if one is not None)


def read_insee(node: Node) -> str | None:
    """Read the COG code on an address."""
    found = take_extension(node, systems.INSEE_CODE)
    if found is None:
        return None
    coding = child(found, "valueCoding") or child(found, "valueCodeableConcept") or {}
    forget(coding, "system", "display")
    return take_text(coding, "code")


def read_address(node: Node) -> Address | None:
    """Read an Address; its text stands for the lines when there are none."""
    use = take_text(node, "use")
    address = Address(
        insee=read_insee(node),
        use=take_own_text(node, "use") or use,
        lines=take_texts(node, "line") or tuple(one for one in [take_text(node, "text")] if one),
        city=take_text(node, "city"),
        postal_code=take_text(node, "postalCode"),
        country=take_text(node, "country"),
    )
    return None if address == Address() else address


def read_addresses(node: Node) -> tuple[Address, ...]:
    """Read all the addresses of a resource."""
    return tuple(one for one in map(read_address, children(node, "address")) if one is not None)


def read_note(node: Node) -> str | None:
    """Read the annotations of a resource, one after the other."""
    texts = [text for one in children(node, "note") if (text := take_text(one, "text"))]
    return "\n".join(texts) or None


def read_unit(node: Node) -> Unit | None:
    """Read the unit of a Quantity: as displayed, else its code; the UCUM code as sent, else as our table knows it."""
    raw, code, system = take_text(node, "unit"), take_text(node, "code"), take_text(node, "system")
    shown = raw or code
    if shown is None:
        return None
    return Unit(raw=shown, ucum=code if system == UCUM and code else ucum_of(shown))


def take_value(node: Node, source: Source) -> tuple[ObservationValue | None, Unit | None]:
    """Take `value[x]` and its unit; a type that the canonical model has no value for stays, with a Finding."""
    bare = take_extension(node, systems.OUR_EXT + "unit")
    unit = read_unit(child(bare, "valueQuantity") or {}) if bare is not None else None
    quantity = child(node, "valueQuantity")
    if quantity is not None:
        number = take_number(quantity, "value")
        if number is None:
            return None, unit
        return _quantity(quantity, number), read_unit(quantity)
    ratio, interval = child(node, "valueRatio"), child(node, "valueRange")
    if ratio is not None:
        return _ratio(ratio, unit)
    if interval is not None:
        return _range(interval)
    return _simple(node, source), unit


def _quantity(node: Node, number: str) -> QuantityValue:
    comparator = take_own_text(node, "comparator") or take_text(node, "comparator")
    text = take_own_text(node, "as-written") or f"{comparator or ''}{number}"
    return QuantityValue(number=number, comparator=comparator, text=text)


def _ratio(node: Node, unit: Unit | None) -> tuple[ObservationValue | None, Unit | None]:
    over, under = child(node, "numerator") or {}, child(node, "denominator") or {}
    numerator = take_number(over, "value")
    denominator = take_number(under, "value")
    if numerator is None or denominator is None:
        return None, unit
    comparator, separator = take_text(over, "comparator"), take_own_text(node, "separator") or ":"
    text = take_own_text(node, "as-written") or f"{comparator or ''}{numerator}{separator}{denominator}"
    value = RatioValue(
        numerator=numerator, denominator=denominator, comparator=comparator, separator=separator, text=text
    )
    return value, unit or read_unit(over)


def _range(node: Node) -> tuple[ObservationValue | None, Unit | None]:
    low, high = child(node, "low") or {}, child(node, "high") or {}
    value = RangeValue(low=take_number(low, "value"), high=take_number(high, "value"))
    text = take_own_text(node, "as-written") or f"{value.low or ''}-{value.high or ''}"
    units = [read_unit(low), read_unit(high)]
    if value.low is None and value.high is None:
        return None, None
    return value.model_copy(update={"text": text}), units[0] or units[1]


def _simple(node: Node, source: Source) -> ObservationValue | None:
    text = take_text(node, "valueString") or take_text(node, "valueMarkdown")
    if text is not None:
        return DateTimeValue(at=text) if take_own_text(node, "value-type") == "datetime" else TextValue(text=text)
    concept = child(node, "valueCodeableConcept")
    if concept is not None:
        codes, label = read_concept(concept, source)
        return CodedValue(codes=codes, text=label) if codes or label else None
    for key in ("valueDateTime", "valueTime", "valueDate", "valueInstant"):
        beside = child(node, "_" + key)
        written = take_own_text(beside, "as-written") if beside else None
        moment = take_text(node, key) if key == "valueTime" else take_moment(node, key)
        if moment is not None:
            return DateTimeValue(at=moment, text=written)
    number = take_number(node, "valueInteger") or take_number(node, "valueDecimal")
    if number is not None:
        return QuantityValue(number=number, text=number)
    truth = take_flag(node, "valueBoolean")
    return None if truth is None else TextValue(text="true" if truth else "false")


def read_reference_range(node: Node) -> Reference | None:
    """Read the first reference range; its units are the result's."""
    ranges = children(node, "referenceRange")
    if not ranges:
        return None
    first = ranges[0]
    bounds = {}
    for side in ("low", "high"):
        quantity = child(first, side)
        if quantity is not None:
            bounds[side] = take_number(quantity, "value")
            forget(quantity, "unit", "system", "code")
    reference = Reference(low=bounds.get("low"), high=bounds.get("high"), text=take_text(first, "text"))
    return None if reference == Reference() else reference


def read_flags(node: Node) -> tuple[str, ...]:
    """Read the interpretation: the codes, or the text of a flag that has no code in FHIR."""
    flags = []
    for one in children(node, "interpretation"):
        found = None
        for coding in children(one, "coding"):
            found = take_text(coding, "code")
            if found is not None:
                forget(coding, "system", "display")
                forget(one, "text")
                break
        found = found or take_text(one, "text")
        if found is not None:
            flags.append(found)
    return tuple(flags)


def element_id(node: Node, key: str) -> str | None:
    """Take the id of an element, be it primitive (`_key.id`) or not (`key.id`)."""
    inner = child(node, key)
    return take_text(inner, "id") if inner is not None else take_element_id(node, key)
