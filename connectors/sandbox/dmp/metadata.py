"""ebRIM 3.0 as it stands in a request: slots, classifications and identifiers, nothing judged, nothing repaired."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass
from uuid import uuid4

from lxml import etree

from connectors.sandbox.dmp import names
from connectors.sandbox.dmp.names import clark
from mappings.xml_source import parse_xml


@dataclass(frozen=True, slots=True)
class Classification:
    """A coded value, or an author (whose node is empty and whose slots say who)."""

    id: str
    scheme: str
    node: str
    classified: str
    code: str
    coding_schemes: tuple[str, ...]
    label: str
    slots: dict[str, tuple[str, ...]]
    element: etree._Element


@dataclass(frozen=True, slots=True)
class Identifier:
    """An ExternalIdentifier: its scheme, value, name, and the object that it says it belongs to."""

    scheme: str
    value: str
    name: str
    registry_object: str


@dataclass(frozen=True, slots=True)
class Registered:
    """A RegistryPackage, ExtrinsicObject or Association; `doubled` names the slots that stand there twice."""

    id: str
    element: etree._Element
    slots: dict[str, tuple[str, ...]]
    doubled: tuple[str, ...]
    title: str
    classifications: tuple[Classification, ...]
    identifiers: tuple[Identifier, ...]

    def identifier(self, scheme: str) -> str:
        """Give the value of the only identifier of a scheme; empty when there is none, or several."""
        found = [one.value for one in self.identifiers if one.scheme == scheme]
        return found[0] if len(found) == 1 else ""

    def coded(self, scheme: str) -> tuple[Classification, ...]:
        """Give the classifications of a scheme."""
        return tuple(one for one in self.classifications if one.scheme == scheme)

    def slot(self, name: str) -> str:
        """Give the first value of a slot; empty when it is absent."""
        return next(iter(self.slots.get(name, ())), "")

    @property
    def is_signature(self) -> bool:
        """Whether this is the entry of a lot's signature."""
        return any(one.code == names.SIGNATURE_TYPE for one in self.coded(names.TYPE_CODE))


@dataclass(frozen=True, slots=True)
class Association:
    """An Association: type, source and target as written, and its slots."""

    id: str
    type: str
    source: str
    target: str
    slots: dict[str, tuple[str, ...]]
    element: etree._Element


@dataclass(frozen=True, slots=True)
class Submission:
    """Everything of one RegistryObjectList."""

    lots: tuple[Registered, ...]
    entries: tuple[Registered, ...]
    associations: tuple[Association, ...]


def read_submission(objects: etree._Element) -> Submission:
    """Read a RegistryObjectList; a classification outside its object, which ebRIM allows, is brought back to it."""
    loose = tuple(_classification(one) for one in objects.findall(clark(names.RIM, "Classification")))
    return Submission(
        tuple(_registered(one, loose) for one in objects.findall(clark(names.RIM, "RegistryPackage"))),
        tuple(_registered(one, loose) for one in objects.findall(clark(names.RIM, "ExtrinsicObject"))),
        tuple(_association(one) for one in objects.findall(clark(names.RIM, "Association"))),
    )


def read_entry(element: etree._Element) -> Registered:
    """Read one ExtrinsicObject or RegistryPackage."""
    return _registered(element, ())


def slots_of(element: etree._Element) -> dict[str, tuple[str, ...]]:
    """Read the slots of an element; one that stands twice keeps its last values."""
    return {
        one.get("name", ""): tuple((value.text or "").strip() for value in one.iter(clark(names.RIM, "Value")))
        for one in element.findall(clark(names.RIM, "Slot"))
    }


def _registered(element: etree._Element, loose: tuple[Classification, ...]) -> Registered:
    counted = Counter(one.get("name", "") for one in element.findall(clark(names.RIM, "Slot")))
    own = tuple(_classification(one) for one in element.findall(clark(names.RIM, "Classification")))
    return Registered(
        element.get("id", ""),
        element,
        slots_of(element),
        tuple(name for name, count in counted.items() if count > 1),
        _label(element),
        own + tuple(one for one in loose if one.classified == element.get("id", "")),
        tuple(
            Identifier(
                one.get("identificationScheme", ""), one.get("value", ""), _label(one), one.get("registryObject", "")
            )
            for one in element.findall(clark(names.RIM, "ExternalIdentifier"))
        ),
    )


def _classification(element: etree._Element) -> Classification:
    slots = slots_of(element)
    return Classification(
        element.get("id", ""),
        element.get("classificationScheme", ""),
        element.get("classificationNode", ""),
        element.get("classifiedObject", ""),
        element.get("nodeRepresentation", ""),
        slots.get("codingScheme", ()),
        _label(element),
        slots,
        element,
    )


def _association(element: etree._Element) -> Association:
    return Association(
        element.get("id", ""),
        element.get("associationType", ""),
        element.get("sourceObject", ""),
        element.get("targetObject", ""),
        slots_of(element),
        element,
    )


def _label(element: etree._Element) -> str:
    found = element.find(f"{clark(names.RIM, 'Name')}/{clark(names.RIM, 'LocalizedString')}")
    return "" if found is None else found.get("value", "")


_AFTER_VERSION = {clark(names.RIM, one) for one in ("Classification", "ExternalIdentifier", "ContentVersionInfo")}


def as_held(
    registered: Registered,
    *,
    uuid: str,
    lid: str,
    version: int,
    status: str,
    set_slots: dict[str, str],
) -> str:
    """Write an entry or a lot as the registry holds it.

    Its own UUID, `lid`, VersionInfo, status and server-made slots; every inner id is a UUID, every inner reference is
    to the object itself.
    """
    made = copy.deepcopy(registered.element)
    set_all(made, id=uuid, lid=lid, status=status)
    for name in set_slots:
        for old in made.findall(clark(names.RIM, "Slot")):
            if old.get("name") == name:
                made.remove(old)
    slots = made.findall(clark(names.RIM, "Slot")) + [_slot(name, value) for name, value in set_slots.items()]
    for one in slots:
        if one.getparent() is not None:
            made.remove(one)
    for place, one in enumerate(sorted(slots, key=lambda slot: slot.get("name", ""))):
        made.insert(place, one)
    for old in made.findall(clark(names.RIM, "VersionInfo")):
        made.remove(old)
    at = next((place for place, one in enumerate(made) if one.tag in _AFTER_VERSION), len(made))
    made.insert(at, etree.Element(clark(names.RIM, "VersionInfo"), versionName=str(version)))
    outside = [one.element for one in registered.classifications if one.element.getparent() is not registered.element]
    for one in outside:
        last = [place for place, child in enumerate(made) if child.tag == clark(names.RIM, "Classification")]
        made.insert(last[-1] + 1 if last else at + 1, copy.deepcopy(one))
    for one in made:
        if one.tag == clark(names.RIM, "Classification"):
            set_all(one, id=f"urn:uuid:{uuid4()}", classifiedObject=uuid)
        elif one.tag == clark(names.RIM, "ExternalIdentifier"):
            set_all(one, id=f"urn:uuid:{uuid4()}", registryObject=uuid)
    return alone(made)


def alone(element: etree._Element) -> str:
    """Write an element with no namespace but ebRIM's, so that it can stand anywhere in an answer."""
    wrapped = etree.Element(clark(names.RIM, "RegistryObjectList"), nsmap={"rim": names.RIM})
    wrapped.append(copy.deepcopy(element))
    etree.cleanup_namespaces(wrapped, top_nsmap={"rim": names.RIM})
    for one in wrapped.iter():
        one.tail = None
        if one.text is not None and not one.text.strip():
            one.text = None
    return etree.tostring(wrapped[0], encoding="unicode")


def with_status(held: str, status: str) -> str:
    """Rewrite the status of an object as the registry holds it."""
    element = read_held(held)
    element.set("status", status)
    return etree.tostring(element, encoding="unicode")


def set_all(element: etree._Element, **values: str) -> None:
    """Set attributes."""
    for name, value in values.items():
        element.set(name, value)


def read_held(xml: str) -> etree._Element:
    """Parse an object as the registry holds it."""
    return parse_xml(xml.encode(), code="sandbox")


def _slot(name: str, value: str) -> etree._Element:
    made = etree.Element(clark(names.RIM, "Slot"), name=name)
    values = etree.SubElement(made, clark(names.RIM, "ValueList"))
    etree.SubElement(values, clark(names.RIM, "Value")).text = value
    return made
