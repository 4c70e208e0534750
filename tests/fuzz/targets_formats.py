"""Every registered format (`passerelle.formats`), read, shown, searched for positions, and converted to the others."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import entry_points

from fuzz import seeds
from fuzz.mutators import CANARY, canary, inside_base64, json, mime, raw, rows, xml, zipped
from fuzz.registry import Mutator, Target, register

from mappings.archive import Archive, Limits
from mappings.charsets import byte_offsets, decode, encode
from mappings.concept_map_csv import read_maps
from mappings.contracts import FormatError, ReadContext
from mappings.explain import explain
from mappings.fhir.check import check_with_fhirclient
from mappings.json_positions import load, pieces, positions
from mappings.mail.tnef import attached_names
from mappings.photos import without_traces
from mappings.registry import detect, format_named, format_names
from mappings.xml_source import parse_xml
from router.conversion import Converter
from schemas.item import ITEM

FORMATS = tuple(sorted(one.name for one in entry_points(group="passerelle.formats")))
CONTEXT = ReadContext(received_at=seeds.NOW)
_FIELDS = rows(b"|^~&\\")
_MEDECIN = rows(b"|~ ", (b"\r\n",))


def _inside(name: str) -> Mutator:
    return xml if name.lower().endswith((".xml", ".xsl")) else raw


_ARCHIVES = zipped(_inside)
MADE_OF: dict[str, tuple[Callable[[], Sequence[bytes]], tuple[Mutator, ...], float]] = {
    "canonical": (seeds.canonical, (json, json, raw), 1.0),
    "cda": (seeds.cda, (xml, xml, inside_base64(raw), canary, raw), 0.5),
    "fhir": (seeds.fhir, (json, json, xml, inside_base64(raw), raw), 0.7),
    "hl7v2": (seeds.hl7v2, (_FIELDS, _FIELDS, inside_base64(xml), canary, raw), 1.5),
    "hprim-medecin": (seeds.hprim_medecin, (_MEDECIN, _MEDECIN, canary, raw), 1.5),
    "hprim-sante": (seeds.hprim_sante, (_FIELDS, _FIELDS, canary, raw), 1.5),
    "mail": (seeds.mail, (mime, mime, inside_base64(_ARCHIVES), inside_base64(raw), canary, raw), 0.7),
    "pdsm": (seeds.pdsm, (json, json, inside_base64(raw), raw), 0.7),
    "xdm": (seeds.xdm, (_ARCHIVES, _ARCHIVES, raw), 0.5),
    "xds": (seeds.xds, (xml, xml, inside_base64(raw), raw), 0.5),
}  # fmt: skip


@cache
def _converter(name: str) -> Converter:
    return Converter(format_named(name), now=seeds.NOW, options={})


def _whole_use(name: str) -> Callable[[bytes], None]:
    """Make what is done with a content of a format: everything that a command, the worker or a page does with it."""

    def run(content: bytes) -> None:
        fmt = format_named(name)
        assert 0.0 <= fmt.sniff(content) <= 1.0
        targets = format_names()
        mark = zlib.crc32(content)
        refused: FormatError | None = None
        try:
            reading = fmt.read(content, CONTEXT)
            for item in reading.items:
                # What a reader gives is kept in the journal and read back there.
                assert ITEM.validate_json(ITEM.dump_json(item)) == item, "an item is not what the journal gives back"
            _converter(targets[mark % len(targets)]).convert(content, name, CONTEXT)
        except FormatError as fault:
            refused = fault
        for show in (fmt.pieces, fmt.positions):
            try:
                show(content)
            except FormatError as fault:
                refused = refused or fault
        if refused is not None:
            raise refused

    return run


for _name in FORMATS:
    if _name not in MADE_OF:
        raise LookupError(f"the format {_name} has no fuzz target: give it seeds and mutators in MADE_OF")
    _seeds, _mutators, _share = MADE_OF[_name]
    register(Target(_name, _whole_use(_name), _seeds, _mutators, (FormatError,), share=_share))


def _recognised(content: bytes) -> None:
    detect(content)


def _any_seed() -> Sequence[bytes]:
    return tuple(one for given, _, _ in MADE_OF.values() for one in given()[:2])


register(Target("recognition", _recognised, _any_seed, (raw, canary), (FormatError,)))


def _unpacked(content: bytes) -> None:
    archive = Archive(content, Limits(total_size=8 * 1024 * 1024))
    for entry in archive.entries:
        if entry.name.endswith(".zip"):
            archive.open_inside(entry)
        elif zlib.crc32(content) % 2:
            archive.read(entry)
        else:
            for _ in archive.stream(entry):
                pass


register(Target("archive", _unpacked, seeds.xdm, (_ARCHIVES, raw), (FormatError,), megabytes=120))


def _parsed(content: bytes) -> None:
    parse_xml(content, code="fuzz", whole=zlib.crc32(content) % 2 == 1)


register(Target("xml", _parsed, seeds.cda, (xml, raw), (FormatError,)))


def _decoded(content: bytes) -> None:
    forced = (None, "cp1252", "utf-8", "utf-16", "cp850")[zlib.crc32(content) % 5]
    decoded = decode(content, forced)
    byte_offsets(decoded, [0, len(decoded.text) // 2, len(decoded.text)])
    encode(decoded.text, "iso-8859-15")


def _texts() -> Sequence[bytes]:
    text = "Hémoglobine glyquée : 6,5 % — œdème « léger » du côté gauche, 20 €\r\n" * 3
    return [text.encode(one, "replace") for one in ("utf-8", "cp1252", "iso-8859-15", "cp850", "utf-16", "mac-roman")]


register(Target("charsets", _decoded, _texts, (raw,), (FormatError,)))


def _json_pieces(content: bytes) -> None:
    positions(content)
    pieces(load(content))


register(Target("json-positions", _json_pieces, seeds.fhir, (json, raw), (FormatError,)))


def _checked(content: bytes) -> None:
    told = " ".join(one.message for one in check_with_fhirclient(content))
    assert CANARY not in told, "a finding quotes what an element holds"


register(Target("fhir-check", _checked, seeds.fhir, (json, raw), share=0.3))


def _mapped(content: bytes) -> None:
    read_maps(content)


def _maps() -> Sequence[bytes]:
    return (b"sender;code;target;unit\r\n990000001;HB;718-7;g/dL\r\n", "sender,code,target\né,GLY,2345-7\n".encode())


register(Target("concept-maps", _mapped, _maps, (rows(b";,\"'\t"), raw), (FormatError,)))


def _photos() -> Sequence[bytes]:
    jpeg = b"\xff\xd8\xff\xe1\x00\x10Exif\0\0MM\0*\0\0\0\x08\xff\xdb\x00\x04\0\0\xff\xda\x00\x04\0\0data\xff\xd9"
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde"
    png = head + b"\0\0\0\x05tEXta\0bc\x82\0\0\0\0IEND\xaeB`\x82"
    return (jpeg, png, b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\x08\0\0\0\0\0\0\0\0\0EXIF\x04\0\0\0abcd")


register(Target("photos", without_traces, _photos, (raw,)))
register(
    Target(
        "tnef", attached_names, lambda: (b"\x78\x9f\x3e\x22\x01\x00\x02\x10\x80\x01\x00\x04\0\0\0a.b\0\0\0",), (raw,)
    )
)


def _explained(content: bytes) -> None:
    explain(content[:1500], format_named("hl7v2"), CONTEXT, (format_named("hprim-sante"),))


register(
    Target(
        "explain",
        _explained,
        lambda: seeds.hl7v2()[-2:],
        (_FIELDS,),
        (FormatError,),
        seconds=20.0,
        share=0.03,
        largest=1500,
    )
)
