"""What a reader of foreign XML must withstand: bombs, outside references, truncation, encodings, nonsense."""

from __future__ import annotations

import base64
import random
import socket
import tracemalloc

import pytest
from cda_documents import (
    PATIENT,
    codes,
    cr_bio,
    document,
    mutated,
    observation,
    patient,
    read_document,
    reading,
    relation,
    report_of,
    section,
    unread,
)
from hypothesis import HealthCheck, given, settings, strategies as st

from mappings.cda import FORMAT, is_cda, read_header
from mappings.cda.reading import source
from mappings.contracts import FormatError, ReadContext
from schemas.item import ITEM

TEXT = '<paragraph ID="v">clair</paragraph>'
REPORT = cr_bio(
    section(
        relation(
            observation(
                '<effectiveTime value="20250310"/><value xsi:type="PQ" value="6.1" unit="mmol/L"/>'
                '<interpretationCode code="H"/><referenceRange><observationRange><value xsi:type="IVL_PQ">'
                '<low value="3"/></value></observationRange></referenceRange>'
            )
        )
        + relation(observation('<value xsi:type="CD"><originalText><reference value="#v"/></originalText></value>')),
        TEXT,
    )
)


def refusal(content: bytes) -> str:
    with pytest.raises(FormatError) as refused:
        reading(content)
    return refused.value.code


def body(text: str, attributes: str = 'mediaType="application/pdf" representation="B64"') -> str:
    return f"<component><nonXMLBody><text {attributes}>{text}</text></nonXMLBody></component>"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"   ",
        b"%PDF-1.4",
        b"MSH|^~\\&|",
        b"<",
        document()[:-200],
        document() + b"<more/>",
        b"\xff\xfe<\0",
        b"\0" * 64,
    ],
)
def test_what_is_not_xml_is_refused(content: bytes) -> None:
    assert refusal(content) == "cda.not_xml"
    with pytest.raises(FormatError):
        FORMAT.pieces(content)


def test_xml_without_a_document_is_refused() -> None:
    assert refusal(b"<ClinicalDocument/>") == "cda.no_document"
    assert refusal(b'<a xmlns="urn:hl7-org:v3"><b/></a>') == "cda.no_document"


def test_the_refusal_says_where_and_never_what() -> None:
    content = document().replace(b"</recordTarget>", b"")
    with pytest.raises(FormatError) as refused:
        reading(content)
    assert "line 1" in str(refused.value)
    assert "TESTROSE" not in str(refused.value)


def test_no_entity_is_expanded_and_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("the reader opened a socket")

    monkeypatch.setattr(socket, "socket", no_network)
    inside = document().decode()
    external = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + inside.replace("Lettre fictive", "&x;")
    assert refusal(external.encode()) == "cda.doctype"
    remote = '<!DOCTYPE d SYSTEM "http://exemple.invalid/cda.dtd">' + inside
    assert refusal(remote.encode()) == "cda.doctype"
    # A DTD that is looked for and not found would be another refusal.
    local = '<!DOCTYPE d SYSTEM "file:///nowhere/cda.dtd">' + inside
    assert refusal(local.encode()) == "cda.doctype"
    styled = b'<?xml-stylesheet type="text/xsl" href="http://exemple.invalid/cda.xsl"?>' + document()
    assert read_document(styled).title == "Lettre fictive"
    included = document(
        title='<title xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd"/></title>'
    )
    assert read_document(included).title is None


def test_an_entity_bomb_is_refused_at_once() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE d [<!ENTITY e0 "ha">{levels}]>' + document().decode().replace("Lettre fictive", "&e9;")
    assert refusal(bomb.encode()) in ("cda.doctype", "cda.not_xml")


def test_absurd_nesting_is_refused() -> None:
    deep = "<component><section>" * 500 + "</section></component>" * 500
    assert (
        refusal(document(component=f"<component><structuredBody>{deep}</structuredBody></component>")) == "cda.too_deep"
    )


def test_sections_inside_sections_are_read_to_the_allowed_depth() -> None:
    inner = section(relation(observation("")))
    for _ in range(40):
        inner = f'<component><section><templateId root="1.2.250.1.213.1.1.2.70"/>{inner}</section></component>'
    (chapter,) = report_of(reading(cr_bio(inner))).chapters
    depth = 0
    while chapter.chapters:
        (chapter,), depth = chapter.chapters, depth + 1
    assert depth == 40
    assert len(chapter.observations) == 1


def test_a_document_past_the_limit_is_refused_unparsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LIMIT", 10_000)
    assert refusal(document(component=body("A" * 20_000))) == "cda.too_large"


def test_a_large_file_costs_memory_in_proportion() -> None:
    data = base64.b64encode(bytes(6_000_000)).decode()
    content = document(component=body("\n".join(data[at : at + 76] for at in range(0, len(data), 76))))
    tracemalloc.start()
    found = read_document(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.attachments[1].size == 6_000_000
    assert peak < 12 * len(content)


def test_many_references_to_one_long_text_stay_bounded() -> None:
    code = '<code><originalText><reference value="#v"/></originalText></code>'
    content = cr_bio(section(relation(observation("", code)) * 300, f'<paragraph ID="v">{"x" * 2000}</paragraph>'))
    (chapter,) = report_of(reading(content)).chapters
    assert len(chapter.observations) == 300


@pytest.mark.parametrize(
    ("declared", "real"), [("UTF-8", "cp1252"), ("ISO-8859-1", "utf-8"), ("UTF-16", "utf-8"), ("nonsense-1", "utf-8")]
)
def test_a_wrong_encoding_declaration_is_put_right(declared: str, real: str) -> None:
    inside = document(title="<title>Synthèse médicale à l’été</title>").decode()
    content = f'<?xml version="1.0" encoding="{declared}"?>{inside}'.encode(real)
    if declared == "nonsense-1":
        assert refusal(content) == "cda.not_xml"
        return
    result = reading(content)
    assert result.charset is not None
    assert codes(result) == ["cda.charset.guessed"]
    assert read_document(content).title == "Synthèse médicale à l’été"
    assert base64.b64decode(read_document(content).attachments[0].data or "") == content


@pytest.mark.parametrize("codec", ["utf-16", "iso8859-1", "utf-8-sig"])
def test_a_right_encoding_declaration_is_followed(codec: str) -> None:
    names = {"utf-16": "UTF-16", "iso8859-1": "ISO-8859-1", "utf-8-sig": "UTF-8"}
    inside = document(title="<title>Synthèse</title>").decode()
    content = f'<?xml version="1.0" encoding="{names[codec]}"?>{inside}'.encode(codec)
    result = reading(content)
    assert result.findings == ()
    assert read_document(content).title == "Synthèse"
    assert is_cda(content)


def test_a_charset_that_the_partner_is_known_for_is_forced() -> None:
    content = document(title="<title>Synthèse</title>").decode().encode("cp850")
    assert read_document(content, ReadContext(charset="cp850")).title == "Synthèse"
    with pytest.raises(FormatError) as refused:
        reading(content, ReadContext(charset="klingon"))
    assert refused.value.code == "cda.charset.unknown"


@pytest.mark.parametrize(
    ("component", "code"),
    [
        (body("@@@@"), "cda.file.base64"),
        (body("JVBERi0xLj"), "cda.file.repaired"),
        (body(""), "cda.file.empty"),
        (body('<reference value="http://exemple.invalid/a.pdf"/>'), "cda.file.external"),
        (
            body("JVBERi0xLjQ=", 'mediaType="application/pdf" representation="B64" compression="DF"'),
            "cda.file.compressed",
        ),
        (body("JVBERi0xLjQ=", 'representation="B64" integrityCheck="AAAA"'), "cda.file.digest"),
        ("", "cda.body.missing"),
    ],
)
def test_a_body_that_is_not_right_is_said_and_the_document_kept(component: str, code: str) -> None:
    content = document(component=component)
    result = reading(content)
    assert codes(result) == [code]
    assert base64.b64decode(read_document(content).attachments[0].data or "") == content


def test_a_text_body_is_a_text_file() -> None:
    found = read_document(document(component=body("Résultat fictif", 'mediaType="text/plain"'))).attachments[1]
    assert found.media_type == "text/plain"
    assert base64.b64decode(found.data or "").decode() == "Résultat fictif"


def test_the_media_type_is_recognised_when_it_is_left_out() -> None:
    data = base64.b64encode(b"%PDF-1.4").decode()
    found = read_document(document(component=body(data, 'representation="B64"'))).attachments[1]
    assert found.media_type == "application/pdf"


def test_a_long_unread_text_is_cut() -> None:
    odd = f"<authorization><consent><code code='{'x' * 5000}'/></consent></authorization>"
    assert len(unread(reading(document(others=odd)))["authorization"]) == 1000


def test_garbage_findings_stay_bounded() -> None:
    code = (
        '<code code="1" displayName="d" codeSystem="1.2"><originalText><reference value="#x{}"/></originalText></code>'
    )
    many = "".join(relation(observation("", code.format(n))) for n in range(400))
    assert len(reading(cr_bio(section(many))).findings) <= 102


def withstands(content: bytes) -> None:
    """Read a content in every way: nothing but a FormatError comes out, and what is read is canonical."""
    assert 0.0 <= FORMAT.sniff(content) <= 1.0
    spans = FORMAT.positions(content)
    assert all(0 <= one.start < one.end <= len(content) for one in spans)
    try:
        result = reading(content)
        read_header(content, ReadContext())
        FORMAT.pieces(content)
    except FormatError:
        return
    for item in result.items:
        assert ITEM.validate_json(ITEM.dump_json(item)) == item


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 2**32),
    st.sampled_from([REPORT, document(recordTarget=patient(PATIENT)), document(component=body("QUJD"))]),
)
def test_mutated_documents_raise_nothing_but_format_errors(seed: int, content: bytes) -> None:
    chance = random.Random(seed)
    for _ in range(5):
        withstands(mutated(content, chance))


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=400))
def test_any_bytes_raise_nothing_but_format_errors(content: bytes) -> None:
    withstands(content)
    withstands(b"<ClinicalDocument xmlns='urn:hl7-org:v3'>" + content + b"</ClinicalDocument>")
