"""The codes that the DMP takes in its metadata; wider or narrower with the SVS files that the user has."""

from __future__ import annotations

from pathlib import Path

from connectors.sandbox.dmp import names
from mappings.xml_source import parse_xml

_CLASS = "1.2.250.1.213.1.1.4.1"
_CONFIDENTIALITY = "2.16.840.1.113883.5.25"
_VISIBILITY = "1.2.250.1.213.1.1.4.13"
_FACILITY = "1.2.250.1.71.4.2.4"
_PRACTICE = "1.2.250.1.213.1.1.4.9"
_OUTSIDE = "1.2.250.1.213.1.1.4.6"

CodeSet = frozenset[tuple[str, str]]

_CODES: dict[str, dict[str, str]] = {
    names.CLASS_CODE: {_CLASS: "10 11 31 42 43 44 45 52 60 90 95", "URN": names.SIGNATURE_CLASS},
    names.CONFIDENTIALITY: {
        _CONFIDENTIALITY: "N R V",
        _VISIBILITY: "MASQUE_PS INVISIBLE_PATIENT INVISIBLE_REPRESENTANTS_LEGAUX",
    },
    names.PRACTICE_SETTING: {
        _OUTSIDE: "EXP_PATIENT SNR",
        _PRACTICE: "AMBULATOIRE AMO DEPISTAGE ESSMS ETABLISSEMENT HAD MAD PALLIATIF SAD SAMU_SMUR",
    },
    names.FACILITY_TYPE: {
        _FACILITY: " ".join(f"SA{number:02d}" for number in range(1, 69)),
        _OUTSIDE: "EXP_PATIENT SNR",
    },
}

SCHEMES: dict[str, frozenset[str]] = {
    names.TYPE_CODE: frozenset({"2.16.840.1.113883.6.1", "1.2.250.1.213.1.1.4.12", "ASTM"}),
    names.FORMAT_CODE: frozenset(
        {"1.3.6.1.4.1.19376.1.2.3", "1.2.250.1.213.1.1.4.2.282", "1.2.840.10008.2.6.1", "URN"}
    ),
    names.CONTENT_TYPE: frozenset({"1.2.250.1.213.2.2"}),
}
"""Where the list of codes is long or not public: at least the code system is held to."""

REFERENCE_TYPES = frozenset(
    {
        "urn:ihe:iti:xds:2013:accession",
        "urn:ihe:iti:xds:2013:order",
        "urn:ihe:iti:xds:2016:studyInstanceUID",
    }
)

_FILES = {
    "JDV_J02": names.FACILITY_TYPE,
    "JDV_J04": names.PRACTICE_SETTING,
    "JDV_J07": names.TYPE_CODE,
    "JDV_J08": names.CONFIDENTIALITY,
}


class ValueSets:
    """Which codes are taken. `folder` holds SVS files (`JDV_J07….xml`); OSError, FormatError when one is unreadable."""

    def __init__(self, folder: Path | None = None) -> None:
        self._codes: dict[str, CodeSet] = {
            scheme: frozenset((code, system) for system, words in systems.items() for code in words.split())
            for scheme, systems in _CODES.items()
        }
        for path in sorted(folder.glob("*.xml")) if folder is not None else ():
            scheme = _FILES.get(path.name.split("_Xds")[0])
            if scheme is not None:
                found = parse_xml(path.read_bytes(), code="sandbox").iter("{urn:ihe:iti:svs:2008}Concept")
                self._codes[scheme] = frozenset((one.get("code", ""), one.get("codeSystem", "")) for one in found)

    def takes(self, scheme: str, code: str, system: str) -> bool:
        """Say whether a code may stand in a classification of that scheme."""
        known = self._codes.get(scheme)
        if known is not None:
            return (code, system) in known
        systems = SCHEMES.get(scheme)
        return systems is None or system in systems
