"""The agreed archives beside the project: what their README says must come out."""

from __future__ import annotations

import base64
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from mappings.contracts import Environment, ReadContext, Reading
from mappings.explain import explain
from mappings.registry import detect, format_named
from mappings.xdm import FORMAT
from schemas.item import DocumentItem

pytestmark = pytest.mark.shared_data

CONTEXT = ReadContext(environment=Environment.TEST)
FIRST, SECOND = "1.2.250.1.999.1.99.10.1", "1.2.250.1.999.1.99.10.2"


def own_codes(reading: Reading) -> set[str]:
    return {one.code for one in reading.findings if not one.code.startswith("cda.")}


@pytest.mark.parametrize(
    ("name", "ids", "codes"),
    [
        ("ok-1-document", [FIRST], set()),
        ("ok-2-documents", [FIRST, SECOND], set()),
        ("ok-2-lots", [FIRST, SECOND], set()),
        ("piege-antislash", [FIRST], {"xdm.layout.backslash"}),
        ("piege-minuscules", [FIRST], {"xdm.layout.case"}),
        ("piege-empreinte-fausse", [FIRST], {"xdm.hash.mismatch"}),
        ("piege-sans-metadata", [FIRST], {"xdm.metadata.missing"}),
    ],
)
def test_archives(shared_data: Path, name: str, ids: list[str], codes: set[str]) -> None:
    content = (shared_data / "mssante" / "xdm" / f"{name}.zip").read_bytes()
    assert detect(content) is FORMAT
    reading = FORMAT.read(content, CONTEXT)
    items = [one for one in reading.items if isinstance(one, DocumentItem)]
    assert [one.content.document_id for one in items] == ids
    assert own_codes(reading) == codes
    for item in items:
        assert item.patient.ins is not None
        assert item.patient.ins.matricule == "279035121518989"
        assert item.content.attachments[1].media_type == "application/pdf"
        assert base64.b64decode(item.content.attachments[1].data or "").startswith(b"%PDF-")
    if name != "piege-sans-metadata":
        # the document's own header leaves these out: only the metadata have them
        document = items[0].content
        assert document.practice_setting is not None
        assert document.practice_setting.code == "AMBULATOIRE"
        assert document.facility_type is not None
        assert document.facility_type.code == "SA25"
    assert FORMAT.pieces(content)
    assert FORMAT.positions(content)


def test_every_agreed_archive_is_named_here(shared_data: Path) -> None:
    assert len(list((shared_data / "mssante" / "xdm").glob("*.zip"))) == 7


def test_the_archive_of_a_mail(shared_data: Path) -> None:
    path = shared_data / "mssante" / "courriels" / "01-xdm-cr-bio.eml"
    mail = message_from_bytes(path.read_bytes(), policy=policy.default)
    attached = next(one for one in mail.walk() if (one.get_filename() or "").lower().endswith(".zip"))
    content = attached.get_payload(decode=True)
    assert isinstance(content, bytes)
    reading = FORMAT.read(content, CONTEXT)
    assert own_codes(reading) == set()
    assert [one.kind for one in reading.items][-1] == "document"


def test_explaining_an_archive(shared_data: Path) -> None:
    content = (shared_data / "mssante" / "xdm" / "ok-1-document.zip").read_bytes()
    explanation = explain(content, FORMAT, CONTEXT, [format_named("canonical")])
    assert explanation.complete
    assert any(one.where.endswith("DOC00001.XML") for one in explanation.structure)
    assert any(one.path == "items[0].content.title" for one in explanation.values)
