"""The narrative of a CDA document as a tree of our own: what is kept, what it becomes, and what no sender can do."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from lxml import etree

from mappings.cda.media import media_content
from mappings.cda.narrative import LARGEST_TEXT, MOST_PIECES, narrative_of
from mappings.cda.narrative_tree import (
    Break,
    Figure,
    Listing,
    Narrative,
    NoteMark,
    Paragraph,
    Run,
    Section,
    Table,
)
from mappings.contracts import FormatError

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n-test-").decode()


def document(sections: str, before: str = "") -> bytes:
    """Wrap sections into the least of a CDA."""
    return (
        f'{before}<ClinicalDocument xmlns="urn:hl7-org:v3"><component><structuredBody>{sections}'
        "</structuredBody></component></ClinicalDocument>"
    ).encode()


def section(text: str, *, title: str = "Titre", rest: str = "") -> str:
    """Write one section."""
    return f"<component><section><title>{title}</title><text>{text}</text>{rest}</section></component>"


def only(text: str, rest: str = "") -> Section:
    """Read a document of one section."""
    (found,) = narrative_of(document(section(text, rest=rest))).sections
    return found


def runs(found: object) -> list[str]:
    """List all texts of a tree."""
    if isinstance(found, Run):
        return [found.text]
    if isinstance(found, tuple):
        return [text for one in found for text in runs(one)]
    if dataclasses.is_dataclass(found):
        return [text for field in dataclasses.fields(found) for text in runs(getattr(found, field.name))]
    return []


def all_sections(sections: tuple[Section, ...]) -> Iterator[Section]:
    for one in sections:
        yield one
        yield from all_sections(one.sections)


def test_paragraphs_lines_and_marks() -> None:
    (first, second) = only(
        """
        Vu   en
        consultation.<br/> <content styleCode="Bold">Très <content styleCode="Italics">urgent</content></content> H<sub>2</sub>O
        <paragraph><caption>Suite</caption>Fin <content revised="delete">ancienne</content></paragraph>
        """  # noqa: E501 - one line of text
    ).blocks
    assert isinstance(first, Paragraph)
    assert first.inlines == (
        Run("Vu en consultation."),
        Break(),
        Run("Très ", frozenset({"bold"})),
        Run("urgent", frozenset({"bold", "italic"})),
        Run(" H"),
        Run("2", frozenset({"sub"})),
        Run("O"),
    )
    assert second == Paragraph((Run("Fin "), Run("ancienne", frozenset({"strike"}))), "Suite")


def test_a_list_in_a_list() -> None:
    (outer,) = only(
        '<list listType="ordered" styleCode="LittleRoman"><caption>Traitement</caption>'
        "<item>un<list><item><caption>Le matin</caption>deux</item></list></item></list>"
    ).blocks
    assert isinstance(outer, Listing)
    assert (outer.numbering, outer.caption) == ("lower-roman", "Traitement")
    text, inner = outer.entries[0].blocks
    assert text == Paragraph((Run("un"),))
    assert isinstance(inner, Listing)
    assert (inner.numbering, inner.entries[0].caption) == ("", "Le matin")


def test_a_table_keeps_its_parts_spans_and_alignment() -> None:
    (table,) = only(
        '<table><caption>NFS</caption><col width="30%"/>'
        "<tfoot><tr><td>pied</td></tr></tfoot>"
        '<thead><tr><th colspan="2" styleCode="Bold">Analyse</th></tr></thead>'
        '<tbody><tr align="right"><td rowspan="3">Hb</td><td align="center">7,1</td></tr></tbody></table>'
    ).blocks
    assert isinstance(table, Table)
    assert table.caption == "NFS"
    (head,) = table.head[0].cells
    assert (head.heading, head.columns, head.marks) == (True, 2, frozenset({"bold"}))
    first, second = table.body[0].cells
    assert (first.rows, first.align, second.align) == (3, "right", "center")
    assert runs(table.foot) == ["pied"]


def test_spans_stay_within_reason() -> None:
    (table,) = only('<table><tr><td colspan="99999999" rowspan="-4">a</td><td colspan="x">b</td></tr></table>').blocks
    assert isinstance(table, Table)
    wide, odd = table.body[0].cells
    assert (wide.columns, wide.rows, odd.columns) == (40, 1, 1)


def test_footnotes_are_numbered_and_called_again() -> None:
    found = only(
        'Hb<footnote ID="n1">Contrôlé</footnote> et Ht<footnoteRef IDREF="n1"/>, Na<footnote>Hémolysé</footnote>'
    )
    (text,) = found.blocks
    assert isinstance(text, Paragraph)
    assert [one.number for one in text.inlines if isinstance(one, NoteMark)] == [1, 1, 2]
    assert [(note.number, runs(note.blocks)) for note in found.notes] == [(1, ["Contrôlé"]), (2, ["Hémolysé"])]


def test_pictures_are_found_by_their_name() -> None:
    media = (
        f'<observationMedia ID="i1"><value mediaType="image/png" representation="B64">{PNG}</value></observationMedia>'
    )
    hidden = (
        '<observationMedia ID="i2"><value mediaType="image/jpeg" representation="B64">/9j/</value></observationMedia>'
    )
    region = f'<regionOfInterest ID="r1"><entryRelationship>{hidden}</entryRelationship></regionOfInterest>'
    found = only(
        'avant<renderMultiMedia referencedObject="i1"><caption>Tracé</caption></renderMultiMedia>'
        '<renderMultiMedia referencedObject="r1"/><renderMultiMedia referencedObject="nothing"/>',
        f"<entry>{media}</entry><entry>{region}</entry>",
    )
    shown = [one for one in found.blocks if isinstance(one, Figure)]
    assert [(one.media.media_type if one.media else None, one.caption) for one in shown] == [
        ("image/png", "Tracé"),
        ("image/jpeg", ""),
        (None, ""),
    ]
    assert shown[0].media is not None
    content = document(section("", rest=f"<entry>{media}</entry>"))
    (alone,) = narrative_of(content).sections[0].blocks
    assert isinstance(alone, Figure), "a file that no narrative shows is shown at the end of its section"
    assert alone.media is not None
    assert (alone.media.size, alone.media.held) == (14, True)
    assert media_content(content, alone.media.rank) == ("image/png", b"\x89PNG\r\n\x1a\n-test-")
    assert media_content(content, 9) is None


def test_the_file_of_a_level_1_body_and_its_text() -> None:
    def body(attributes: str, text: str) -> bytes:
        return (
            f'<ClinicalDocument xmlns="urn:hl7-org:v3"><component><nonXMLBody><text {attributes}>{text}</text>'
            "</nonXMLBody></component></ClinicalDocument>"
        ).encode()

    pdf = body('mediaType="Application/PDF; x=1" representation="B64"', "JVBE\n Ri0x\n LjQK")
    found = narrative_of(pdf).body
    assert found is not None
    assert (found.media_type, found.size) == ("application/pdf", 9)
    assert media_content(pdf, 0) == ("application/pdf", b"%PDF-1.4\n")
    assert narrative_of(body('mediaType="text/plain"', "Deux\n  lignes")).text == "Deux\n  lignes"
    latin = base64.b64encode("décès".encode("cp1252")).decode()
    assert narrative_of(body('mediaType="text/plain" representation="B64"', latin)).text == "décès"
    assert media_content(body('mediaType="text/html" representation="B64"', "n o t"), 0) == ("text/html", b"n o t")
    assert media_content(body('mediaType="../../x"', "a"), 0) == ("application/octet-stream", b"a")


def test_sections_are_kept_with_titles_and_codes() -> None:
    inner = section("dedans", title="Sous-chapitre")
    content = document(
        "<component><section>"
        '<code code="18725-2" codeSystem="2.16.840.1.113883.6.1" displayName="Microbiologie"/>'
        f"<text/>{inner}</section></component>"
    )
    (outer,) = narrative_of(content).sections
    assert outer.title == "Microbiologie"
    assert outer.code is not None
    assert outer.code.system == "urn:oid:2.16.840.1.113883.6.1"
    assert [one.title for one in outer.sections] == ["Sous-chapitre"]


def test_a_wrapped_document_is_found_and_another_xml_refused() -> None:
    assert narrative_of(b"<wrap>" + document(section("dedans")) + b"</wrap>").sections
    with pytest.raises(FormatError) as refused:
        narrative_of(b"<a>TESTROSE</a>")
    assert refused.value.code == "cda.narrative.no_document"
    assert "TESTROSE" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        " JaVaScRiPt:alert(1)",
        "java&#10;script:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "//evil.example",
        "/logout",
        "#top",
        "https://a b",
        "https:\\\\evil",
        "",
    ],
)
def test_only_plain_addresses_become_links(address: str) -> None:
    (text,) = only(f'<linkHtml href="{address}">ici</linkHtml>').blocks
    assert text == Paragraph((Run("ici"),))


def test_an_address_of_the_web_or_of_a_mailbox_is_a_link() -> None:
    (text,) = only(
        '<linkHtml href="https://sante.example/a?b=1">site</linkHtml> <linkHtml href="mailto:a@b.example">m</linkHtml>'
    ).blocks
    assert isinstance(text, Paragraph)
    assert [one.link for one in text.inlines if isinstance(one, Run)] == [
        "https://sante.example/a?b=1",
        None,
        "mailto:a@b.example",
    ]


def test_what_no_reader_should_see_is_left_out_and_counted() -> None:
    found = narrative_of(
        document(
            section(
                'a<script>alert(1)</script>b<style>*{display:none}</style><img src="x" onerror="alert(1)"/>'
                '<content onload="alert(1)" styleCode="background:url(x) Bold">c</content>'
                "<table>stray<tr>stray<td>d</td><evil/></tr></table>"
            )
        )
    )
    assert runs(found) == ["ab", "c", "d"]
    assert found.left_out == 5
    assert not found.cut


def test_huge_documents_are_cut_and_say_so() -> None:
    rows = narrative_of(document(section("<table>" + "<tr><td>x</td></tr>" * 50_000 + "</table>")))
    assert rows.cut
    assert len(runs(rows)) < MOST_PIECES
    text = narrative_of(document(section("<paragraph>" + "é" * 3 * LARGEST_TEXT + "</paragraph>")))
    assert text.cut
    assert sum(map(len, runs(text))) <= LARGEST_TEXT
    sections = narrative_of(document(section("a") * 20_000))
    assert sections.cut
    styles = narrative_of(document(section(f'<content styleCode="{"Bold " * 500_000}">a</content>')))
    assert runs(styles) == ["a"]


@pytest.mark.parametrize(("levels", "reason"), [(250, "too_deep"), (10_000, "not_xml")])
def test_thousands_of_levels_are_refused(levels: int, reason: str) -> None:
    """The parser itself gives up past some two thousand."""
    with pytest.raises(FormatError) as refused:
        narrative_of(document(section("<content>" * levels + "x" + "</content>" * levels)))
    assert refused.value.code == f"cda.narrative.{reason}"


def test_what_is_deep_is_flattened_and_kept() -> None:
    table = "<table><tr><td>{}</td></tr></table>"
    text = "fond"
    for _ in range(40):
        text = table.format(text)
    found = only(text)
    assert runs(found) == ["fond"]
    depth, block = 0, found.blocks[0]
    while isinstance(block, Table):
        depth, block = depth + 1, block.body[0].cells[0].blocks[0]
    assert depth == 8
    nested = section("fond")
    for level in range(60):
        nested = section(f"n{level}", rest=nested)
    found_all = list(all_sections(narrative_of(document(nested)).sections))
    assert len(found_all) == 61
    marked = "<content>" * 150 + "fond" + "</content>" * 150
    assert runs(only(marked)) == ["fond"]


def test_an_entity_or_a_document_type_is_refused() -> None:
    with pytest.raises(FormatError) as refused:
        narrative_of(document(section("&x;"), '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'))
    assert refused.value.code == "cda.narrative.doctype"


_NAMES = st.sampled_from(
    ["paragraph", "content", "list", "item", "table", "thead", "tbody", "tr", "th", "td", "br", "sub", "linkHtml",
     "footnote", "renderMultiMedia", "caption", "script", "text"]
)  # fmt: skip
_TREES = st.recursive(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12),
    lambda inner: st.tuples(_NAMES, st.lists(inner, max_size=4)),
    max_leaves=20,
)


def _grow(parent: etree._Element, tree: object) -> None:
    if isinstance(tree, str):
        if len(parent):
            parent[-1].tail = (parent[-1].tail or "") + tree
        else:
            parent.text = (parent.text or "") + tree
    elif isinstance(tree, tuple):
        child = etree.SubElement(parent, "{urn:hl7-org:v3}" + tree[0], styleCode="Bold", referencedObject="x")
        for one in tree[1]:
            _grow(child, one)


@settings(max_examples=60, deadline=None)
@given(st.lists(_TREES, max_size=5))
def test_any_narrative_is_read(trees: list[object]) -> None:
    root = etree.fromstring(document(section("")))
    text = root.find(".//{urn:hl7-org:v3}text")
    assert text is not None
    for tree in trees:
        _grow(text, tree)
    found = narrative_of(etree.tostring(root, encoding="UTF-8"))
    assert isinstance(found, Narrative)
    assert not found.cut


@pytest.mark.shared_data
def test_every_example_of_the_ans_keeps_all_its_text(shared_data: Path) -> None:
    """Each word of each narrative is in the tree, in order: nothing is lost but blanks."""
    count = 0
    for path in sorted((shared_data / "cda" / "examples").glob("*.xml")):
        content = path.read_bytes()
        found = narrative_of(content)
        assert (found.cut, found.left_out) == (False, 0), path.name
        root = etree.fromstring(content, etree.XMLParser(huge_tree=True, remove_comments=True))
        document_root = next(root.iter("{urn:hl7-org:v3}ClinicalDocument"))
        texts = document_root.iterfind(".//{urn:hl7-org:v3}section/{urn:hl7-org:v3}text")
        stated = "".join("".join("".join(map(str, text.itertext())).split()) for text in texts)
        kept = "".join("".join("".join(runs(one.blocks)).split()) for one in all_sections(found.sections))
        assert kept == stated, path.name
        count += bool(stated)
    assert count > 10
