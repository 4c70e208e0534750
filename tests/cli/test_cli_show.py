"""`passerelle show`: the same reading as on a page, in a terminal, whatever a file holds."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console
from web_papers import cda, culture, document, file, full_document, lab_item, letter

from mappings.contracts import Reading, Unread
from router.cli.files import command_show
from router.cli.readings import show_items
from schemas.item import Item


def shown(item: Item, *, width: int = 140, unread: tuple[Unread, ...] = ()) -> str:
    """Print an Item as on a terminal without colours."""
    out = io.StringIO()
    show_items(Reading(items=(item,), unread=unread), console=Console(file=out, width=width, color_system=None))
    return out.getvalue()


def folded(text: str) -> str:
    return " ".join(text.split())


def test_a_report_is_a_table_with_its_earlier_results() -> None:
    text = folded(shown(lab_item()))
    for said in (
        "IONOGRAMME Potassium",
        "6.2 ↑↑ mmol/L 3.5 – 5 ▁▅█ 4.1 2026-02-01 08:00",
        "5.3 2026-03-01",
        "160 mg/L 2026-01-01",
        "other unit: 242 mg/L",
        "method: Potentiométrie",
        "Escherichia coli Isolat 1",
        "Amoxicilline ≤ 32 R mg/L",
        "Gentamicine ≤ 0.5 S mg/L",
        "Nitrites cancelled",
        "Conclusion: Hyperkaliémie.",
        "Specimens Sérum · Number T-001",
        "Birth name TESTROSE",
    ):
        assert said in text, said


def test_a_document_shows_its_card_and_narrative() -> None:
    item = document(file(letter()))
    content = full_document().model_copy(update={"attachments": item.content.attachments, "title": "Lettre"})
    text = folded(shown(item.model_copy(update={"content": content})))
    for said in (
        "Lettre Type Lettre de liaison (11490-0) Version 2 Replaces 1.2.3^3",
        "Author DR TESTAUTEUR · Biologie médicale · CH FICTIF · Médecin du service",
        "# Motif d'hospitalisation Chute & plaie[1]",
        "1. Suture 2. Antalgique",
        "Constantes",
        "matin 12/8",
        "la fiche <https://sante.example/fiche>",
        "[image/png, 14 bytes] Tracé",
        "[application/pdf, 15 bytes]",
        "[1] Vue aux urgences",
        "## Sous-section",
        "file 1: text/xml",
    ):
        assert said in text, said


def test_a_narrative_keeps_its_table_in_columns() -> None:
    rows = (
        '<tr><th rowspan="2">A</th><th colspan="2">B</th><td>C</td></tr><tr><td>1</td><td>2</td><td>3</td></tr>'
        "<tr><td>4</td></tr>"
    )
    listing = '<list listType="ordered" styleCode="BigRoman"><caption>L</caption>' + "<item>i</item>" * 4 + "</list>"
    letters = (
        '<list listType="ordered" styleCode="LittleAlpha">'
        + "<item>x</item>" * 28
        + "</list><list><item>b</item></list>"
    )
    text = f"<table>{rows}</table>{listing}{letters}"
    lines = shown(document(file(cda(f"<component><section><text>{text}</text></section></component>")))).splitlines()
    top, second = (next(line for line in lines if mark in line) for mark in ("A ", "1 "))
    assert top.index("B") == second.index("1"), "a cell that reaches down keeps its column"
    assert top.index("C") == second.index("3")
    assert any("Untitled section" in line for line in lines)
    assert [line.split()[0] for line in lines if line.split()[1:] == ["i"]] == ["I.", "II.", "III.", "IV."]
    assert [line.split()[0] for line in lines if line.split()[1:] == ["x"]][-2:] == ["aa.", "ab."]
    assert any(line.split() == ["•", "b"] for line in lines)


def test_no_text_commands_the_terminal() -> None:
    evil = "\x1b]0;owned\x07\x1b[31m[bold]red[/bold]\x9b2J\r"
    report = culture().model_copy(update={"conclusion": evil, "text": evil})
    item = lab_item(report)
    patient = item.patient.model_copy(update={"birth_name": evil})
    unread = (Unread(where="OBX-8", text=evil),)
    text = shown(item.model_copy(update={"patient": patient}), unread=unread)
    text += shown(document(file(cda("")), title=evil, comment=evil))
    assert not {"\x1b", "\x07", "\x9b", "\r"} & set(text)
    assert "[bold]red[/bold]" in text, "brackets are a sender's text, not markup of ours"


def test_what_cannot_be_shown_is_said() -> None:
    deep = "<list><item>" * 300 + "x" + "</item></list>" * 300
    text = shown(document(file(cda(f"<component><section><text>{deep}</text></section></component>"))))
    assert "cannot be shown here (cda.narrative.too_deep)" in text
    long = "<paragraph>" + "mot " * 60_000 + "</paragraph><script>x</script>"
    text = folded(shown(document(file(cda(f"<component><section><text>{long}</text></section></component>")))))
    assert "what follows is missing" in text


def test_a_plain_text_body_is_read() -> None:
    body = (
        '<ClinicalDocument xmlns="urn:hl7-org:v3"><component><nonXMLBody>'
        '<text mediaType="text/plain">Tout va bien.</text></nonXMLBody></component></ClinicalDocument>'
    )
    assert "Tout va bien." in shown(document(file(body.encode())))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_fits_the_terminal(width: int) -> None:
    for item in (lab_item(), document(file(letter()))):
        assert max(map(len, shown(item, width=width).splitlines())) <= width


@pytest.mark.shared_data
def test_every_example_of_the_ans_is_read_aloud(shared_data: Path) -> None:
    for path in sorted((shared_data / "cda" / "examples").glob("*.xml")):
        answer = CliRunner().invoke(command_show, [str(path)], standalone_mode=False)
        assert answer.exception is None, path.name
        assert answer.return_value == 0, path.name
        assert "document · " in answer.stdout
        assert "cannot be shown" not in answer.stdout, path.name
        if "CR-BIO_2024" in path.name:
            assert "lab_report · " in answer.stdout
