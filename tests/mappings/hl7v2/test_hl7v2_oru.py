"""The report that an ORU^R01 makes: orders, chapters, specimens, results, files."""

from __future__ import annotations

import base64

import pytest
from hl7v2_messages import OBX, PID, codes, observations, reading, report

from schemas.coding import Identifier
from schemas.lab import LabChapter, ParentResult, ResultStatus


def test_report_takes_its_numbers_times_and_people_from_the_order() -> None:
    found = reading(
        PID,
        "PV1|1|I|||||||||||||||||V-5^^^CH-FICTIF&990000001&M^VN",
        "ORC|RE|D-1^DPI|F-1^SGL^1.2.3^ISO"
        + "|" * 18
        + "CH-FICTIF^^^^^ASIP-SANTE-ST&1.2.250.1.71.4.2.2&ISO^FINEG^^^1990000002",
        "OBR|1|D-1^DPI|F-1^SGL^1.2.3^ISO|58410-2^NFS^LN|||20260105083000|20260105084000|||||fièvre|20260105090000||"
        "899700000017^TESTEUR^Hélène^^^Dr^^^ASIP-SANTE-PS&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS||||||20260105100000||HM|F|||"
        "899700000025^COPIE^Jean^^^^^^ASIP-SANTE-PS&1.2.250.1.71.4.2.1&ISO^D^^^RPPS||||BIO1&BIOLOGISTE&Zoé",
        OBX,
    )
    item = report(found)
    content = item.content
    assert (content.report_id, content.report_authority) == ("F-1", "urn:oid:1.2.3")
    assert (content.order_id, content.order_authority) == ("D-1", "urn:x-authority:DPI")
    assert content.status is ResultStatus.FINAL
    assert content.collected_at == "2026-01-05T08:30:00+01:00"
    assert content.collected_until == "2026-01-05T08:40:00+01:00"
    assert content.received_at == "2026-01-05T09:00:00+01:00"
    assert content.issued_at == "2026-01-05T10:00:00+01:00"
    assert content.clinical_information == "fièvre"
    assert content.prescriber is not None
    assert content.prescriber.civility == "Dr"
    assert content.prescriber.identifiers[0].value == "99700000017"
    assert content.prescriber.organization is not None
    assert content.prescriber.organization.identifiers[0].value == "990000002"
    assert content.validated_by is not None
    assert (content.validated_by.family_name, content.validated_by.identifiers[0].value) == ("BIOLOGISTE", "BIO1")
    assert content.visit == Identifier(system="urn:x-finess:990000001", value="V-5", type="VN", assigner="CH-FICTIF")
    assert [one.professional.family_name for one in item.recipients if one.professional] == ["COPIE"]
    assert item.sender is not None
    assert item.sender.name == "LABO-FICTIF"
    assert item.occurred_at == content.collected_at
    assert (content.chapters[0].title, content.chapters[0].section) == ("NFS", "HM")
    assert item.source.where == "MSH-10=CTRL-1"
    assert [unread.where for unread in found.unread] == ["PV1-2"]


def test_orders_that_share_their_filler_number_are_chapters_of_one_report() -> None:
    found = reading(PID, "OBR|1||F-1|A^A^L", OBX, "OBR|2||F-1|B^B^L", OBX, "OBR|3||F-2|C^C^L", OBX)
    assert [report(found, at).content.report_id for at in range(2)] == ["F-1", "F-2"]
    assert [chapter.title for chapter in report(found).content.chapters] == ["A", "B"]
    assert [item.source.where for item in found.items] == ["MSH-10=CTRL-1, OBR", "MSH-10=CTRL-1, OBR[3]"]
    assert len({item.id for item in found.items}) == 2


def test_order_numbers_fall_back_on_orc_and_on_the_placer() -> None:
    found = reading(PID, "ORC|RE|D-1|F-9", "OBR|1|||A^A^L", OBX, "ORC|RE|D-1|F-9", "OBR|2|||B^B^L", OBX)
    assert [report(found).content.report_id, report(found).content.order_id] == ["F-9", "D-1"]
    assert len(found.items) == 1
    found = reading(PID, "OBR|1|D-1||A^A^L", OBX, "OBR|2|D-2||B^B^L", OBX)
    assert len(found.items) == 2


def test_antibiogram_joins_the_report_of_its_culture() -> None:
    found = reading(
        PID,
        "OBR|1|D-1|F-1|ECBU^ECBU^L|||||||||||||||||||||F",
        "OBX|1|CE|GERME^Germe^L|1|ECOLI^Escherichia coli^L||||||F",
        "OBR|2|D-1|F-2|ATB^Antibiogramme^L|||||||||||||||||||||F|GERME&Germe&L^1^Escherichia coli|||D-1^F-1",
        "OBX|1|ST|AMX^Amoxicilline^L||R||||||F",
    )
    assert len(found.items) == 1
    chapters = report(found).content.chapters
    assert chapters[0].parent is None
    parent = chapters[1].parent
    assert isinstance(parent, ParentResult)
    assert parent.code is not None
    assert (parent.code.code, parent.sub_id, parent.text) == ("GERME", "1", "Escherichia coli")


def test_several_patients_have_a_report_each() -> None:
    other = PID.replace("IPP-1", "IPP-2").replace("FICTIVE", "AUTRE-FICTIVE")
    found = reading(PID, "OBR|1||F-1|A^A^L", OBX, other, "OBR|1||F-1|A^A^L", OBX)
    assert [item.patient.birth_name for item in found.items] == ["FICTIVE", "AUTRE-FICTIVE"]


def test_comments_belong_to_the_segment_before_them() -> None:
    found = reading(
        PID,
        "NTE|1|L|du patient",
        "ORC|RE",
        "NTE|1|L|de la commande",
        "OBR|1||F-1|A^A^L",
        "NTE|1|L|du chapitre",
        "NTE|2|L|",
        r"NTE|3|L|suite\.br\fin",
        OBX,
        r"NTE|1|L|du résultat \T\ voilà~encore",
        "SPM|1||| SANG^Sang^L",
        "NTE|1|L|du prélèvement",
    )
    content = report(found).content
    assert content.comment == "du patient"
    assert content.chapters[0].comment == "de la commande\ndu chapitre\n\nsuite\nfin"
    assert observations(found)[0].comment == "du résultat & voilà\nencore"
    assert content.specimens[0].text == "du prélèvement"


def test_specimen_after_its_results_is_theirs_and_what_follows_describes_it() -> None:
    found = reading(
        PID,
        "OBR|1||F-1|A^A^L",
        OBX,
        "SPM|1|S-1&DPI^S-2&SGL||119297000^Sang^SCT|||VP^Ponction^L|BRAS^Bras^L||||||tube EDTA|||"
        "20260105083000^20260105083100|20260105090000||||||HEM^Hémolysé^L",
        "OBX|1|NM|VOL^Volume^L||4|mL|||||F",
    )
    content = report(found).content
    (specimen,) = content.specimens
    assert [identifier.type for identifier in specimen.identifiers] == ["PLAC", "FILL"]
    assert (specimen.id, specimen.text, specimen.condition) == ("S-2", "tube EDTA", "Hémolysé")
    assert specimen.collected_at == "2026-01-05T08:30:00+01:00"
    assert specimen.received_at == "2026-01-05T09:00:00+01:00"
    assert observations(found)[0].specimen == "S-2"
    assert content.chapters[0].chapters == (LabChapter(observations=content.chapters[0].chapters[0].observations),)
    assert content.chapters[0].chapters[0].observations[0].label == "Volume"
    assert [unread.where for unread in found.unread] == ["SPM-17.2"]


def test_specimen_before_its_results_is_theirs() -> None:
    found = reading(PID, "OBR|1||F-1|A^A^L", "SPM|1|||UR^Urines^L", OBX, OBX)
    assert [one.specimen for one in observations(found)] == ["SPM-1", "SPM-1"]
    assert report(found).content.chapters[0].chapters == ()


def test_same_specimen_under_several_orders_is_one_and_two_under_one_order_are_no_ones() -> None:
    found = reading(
        PID, "OBR|1||F-1|A^A^L", OBX, "SPM|1|||S^S^L", "OBR|2||F-1|B^B^L", OBX, "SPM|2|||S^S^L", "SPM|3|||U^U^L"
    )
    content = report(found).content
    assert [specimen.id for specimen in content.specimens] == ["SPM-1", "SPM-2"]
    assert content.chapters[0].observations[0].specimen == "SPM-1"
    assert content.chapters[1].observations[0].specimen is None


def test_old_specimen_source_of_the_order() -> None:
    found = reading(PID, "OBR|1||F-1|A^A^L|||||||||||SANG&Sang&L^^au pli du coude^BRAS&Bras&L", OBX)
    (specimen,) = report(found).content.specimens
    assert specimen.type is not None
    assert specimen.site is not None
    assert (specimen.type.code, specimen.site.code, specimen.text) == ("SANG", "BRAS", "au pli du coude")


@pytest.mark.parametrize(
    ("statuses", "overall", "own"),
    [
        ("F F", ResultStatus.FINAL, [None, None]),
        ("F P", ResultStatus.PARTIAL, [ResultStatus.FINAL, ResultStatus.PRELIMINARY]),
        ("F C", ResultStatus.CORRECTED, [ResultStatus.FINAL, None]),
        ("F X", ResultStatus.FINAL, [None, ResultStatus.CANCELLED]),
        ("A", ResultStatus.PARTIAL, [None]),
        ("I", ResultStatus.REGISTERED, [None]),
        ("M", ResultStatus.PRELIMINARY, [None]),
    ],
)
def test_status_of_the_report_follows_from_its_orders(
    statuses: str, overall: ResultStatus, own: list[ResultStatus | None]
) -> None:
    lines = [f"OBR|{n}||F-1|A^A^L" + "|" * 21 + code for n, code in enumerate(statuses.split(), 1)]
    found = reading(PID, *[line for obr in lines for line in (obr, OBX)])
    assert report(found).content.status is overall
    assert [chapter.status for chapter in report(found).content.chapters] == own


def test_correction_replaces_the_report_of_the_same_number() -> None:
    found = reading(PID, "OBR|1||F-1|A^A^L" + "|" * 21 + "C", OBX.replace("|F", "|C"))
    assert report(found).replaces == "F-1"
    assert observations(found)[0].status is ResultStatus.CORRECTED


def test_later_orders_keep_their_own_times_on_their_results() -> None:
    found = reading(
        PID,
        "OBR|1||F-1|A^A^L|||20260105083000",
        OBX,
        "OBR|2||F-1|B^B^L|||20260105093000",
        OBX,
        OBX + "|||20260105094500",
    )
    first, second = report(found).content.chapters
    assert first.observations[0].effective_at is None
    assert [one.effective_at for one in second.observations] == [
        "2026-01-05T09:30:00+01:00",
        "2026-01-05T09:45:00+01:00",
    ]


def test_laboratory_is_said_once_when_one_did_everything() -> None:
    row = OBX + "|||20260105083000|LAB1^LABO FICTIF^L|BIO^BIOLOGISTE^Zoé|IMMUNO^Immunodosage^L||20260105091500"
    found = reading(PID, "OBR|1||F-1|A^A^L", row, row)
    laboratory = report(found).content.laboratory
    assert laboratory is not None
    assert (laboratory.name, laboratory.identifiers[0].value) == ("LABO FICTIF", "LAB1")
    first = observations(found)[0]
    assert first.performer is None
    assert first.method is not None
    assert (first.method.code, first.issued_at) == ("IMMUNO", "2026-01-05T09:15:00+01:00")
    assert first.validated_by is not None
    assert first.validated_by.family_name == "BIOLOGISTE"
    found = reading(PID, "OBR|1||F-1|A^A^L", row, row.replace("LAB1", "LAB2"))
    assert report(found).content.laboratory is None
    assert [one.performer.identifiers[0].value for one in observations(found) if one.performer] == ["LAB1", "LAB2"]


def test_order_detail_is_no_result_and_is_left_unread() -> None:
    found = reading(PID, "OBR|1||F-1|A^A^L", OBX, "OBX|2|ST|Q^Question^L||réponse||||||O")
    assert len(observations(found)) == 1
    assert ("OBX[2]-5", "réponse") in [(unread.where, unread.text) for unread in found.unread]


def test_file_beside_results_is_an_attachment() -> None:
    pdf = base64.b64encode(b"%PDF-1.4 fictif").decode()
    found = reading(PID, "OBR|1||F-1|A^A^L", OBX, f"OBX|2|ED|PDF^Compte rendu^L||^application^pdf^Base64^{pdf}||||||F")
    (attachment,) = report(found).content.attachments
    assert (attachment.media_type, attachment.title, attachment.size, attachment.data) == (
        "application/pdf",
        "Compte rendu",
        15,
        pdf,
    )
    assert len(observations(found)) == 1


@pytest.mark.parametrize(
    ("sent", "content", "finding"),
    [
        ("Ym9uam91cg==", b"bonjour", None),
        ("Ym9uam91cg", b"bonjour", "hl7v2.ed.repaired"),
        ("Ym9u am91cg= =", b"bonjour", "hl7v2.ed.repaired"),
        ("Ym9uam91c", b"bonjou", "hl7v2.ed.repaired"),
    ],
)
def test_base64_is_repaired(sent: str, content: bytes, finding: str | None) -> None:
    found = reading(PID, "OBR|1||F-1|A^A^L", f"OBX|1|ED|X^X^L||^TEXT^plain^Base64^{sent}||||||F")
    (attachment,) = report(found).content.attachments
    assert attachment.data is not None
    assert base64.b64decode(attachment.data) == content
    assert codes(found) == ([finding] if finding else [])


def test_file_that_cannot_be_decoded_is_an_error_and_stays_unread() -> None:
    found = reading(PID, "OBR|1||F-1|A^A^L", "OBX|1|ED|X^X^L||^TEXT^plain^Base64^pas du base64 !||||||F")
    assert report(found).content.attachments == ()
    assert codes(found) == ["hl7v2.ed.base64"]
    assert [unread.where for unread in found.unread] == ["OBX-5"]


@pytest.mark.parametrize(
    ("value", "media_type", "content", "finding"),
    [
        (r"^TEXT^plain^A^ligne \S\ 1", "text/plain", b"ligne ^ 1", None),
        ("^TEXT^^Hex^4142", "text/plain", b"AB", None),
        ("^TEXT^^Hex^4Z", None, b"", "hl7v2.ed.hex"),
        ("^IM^JPEG^^QUI=", "image/jpeg", b"AB", "hl7v2.ed.encoding"),
        ("^AP^^Base64^QUI=", "application/octet-stream", b"AB", None),
        ("^AP^x-maison^Base64^QUI=", "application/octet-stream", b"AB", None),
        ("^image^webp^Base64^QUI=", "image/webp", b"AB", None),
        ("^^^Base64^JVBERi0=", "application/pdf", b"%PDF-", None),
        ("^AP^PDF^Base64^", None, b"", "hl7v2.ed.empty"),
        ("", None, b"", "hl7v2.ed.empty"),
    ],
)
def test_encodings_and_media_types_of_files(
    value: str, media_type: str | None, content: bytes, finding: str | None
) -> None:
    found = reading(PID, "OBR|1||F-1|A^A^L", f"OBX|1|ED|X^X^L||{value}||||||F", "NTE|1|L|remarque")
    assert codes(found) == ([finding] if finding else [])
    attachments = report(found).content.attachments
    assert [one.media_type for one in attachments] == ([media_type] if media_type else [])
    assert [base64.b64decode(one.data or "") for one in attachments] == ([content] if media_type else [])
    assert ("NTE-3", "remarque") in [(one.where, one.text) for one in found.unread]


def test_segments_out_of_their_usual_place_find_their_owner() -> None:
    found = reading(
        "ORC|RE|D-1|F-1",
        PID,
        "PV1|1|I|||||||||||||||||V-1^^^CH^VN",
        "PV1|2|I|||||||||||||||||V-2^^^CH^VN",
        "SPM|1|||S^Sang^L",
        OBX,
        "ORC|NW|D-9|F-9",
    )
    content = report(found).content
    assert (content.report_id, content.order_id) == ("F-1", "D-1")
    assert content.visit is not None
    assert content.visit.value == "V-1"
    assert content.chapters[0].observations[0].specimen == "SPM-1"
    assert {"PV1[2]-19", "ORC[2]-2", "ORC[2]-3"} <= {one.where for one in found.unread}


def test_performing_organisation_of_later_versions_counts_before_the_producer() -> None:
    row = OBX + "||||OLD^ANCIEN^L||||||||LABO^^^^^CH&990000001&M^FINEG^^^990000009|1 RUE^^VILLE"
    laboratory = report(reading(PID, "OBR|1||F-1|A^A^L", row)).content.laboratory
    assert laboratory is not None
    assert laboratory.address is not None
    assert (laboratory.name, laboratory.identifiers[0].value, laboratory.address.city) == ("LABO", "990000009", "VILLE")
    assert ("OBX-15", "OLD^ANCIEN^L") in [(one.where, one.text) for one in reading(PID, "OBR|1||F-1|A^A^L", row).unread]


def test_unknown_order_status_and_missing_record_are_said() -> None:
    for code, finding in (("Q", "hl7v2.status.unknown"), ("Y", "hl7v2.status.no_record")):
        assert codes(reading(PID, "OBR|1||F-1|A^A^L" + "|" * 21 + code, OBX)) == [finding]


def test_result_in_a_second_unit_is_joined_only_under_our_own_mark() -> None:
    row = "OBX|1|NM|GLY^Glycémie^L|{}|{}|{}|||||F"
    found = reading(PID, "OBR|1||F-1|A^A^L", row.format("", "5.3", "mmol/L"), row.format(":U2", "0.95", "g/L"))
    (joined,) = observations(found)
    assert joined.second is not None
    assert joined.second.unit is not None
    assert joined.second.unit.raw == "g/L"
    apart = reading(PID, "OBR|1||F-1|A^A^L", row.format("", "5.3", "mmol/L"), row.format("2", "0.95", "g/L"))
    assert [one.second for one in observations(apart)] == [None, None]


def test_earlier_result_that_is_not_in_our_words_stays_a_comment() -> None:
    found = reading(
        PID,
        "OBR|1||F-1|A^A^L",
        OBX,
        "NTE|1|L|12.1 l'an dernier|PREVIOUS^Antériorité^99PASSERELLE^NM^^HL70125",
        "NTE|2|L|Antériorité : 1:40|PREVIOUS^Antériorité^99PASSERELLE^SN^^HL70125",
        "NTE|3|L|Antériorité : 3-5|PREVIOUS^Antériorité^99PASSERELLE^SN^^HL70125",
        "NTE|4|L|Antériorité : 2025-12|PREVIOUS^Antériorité^99PASSERELLE^TS^^HL70125",
    )
    (observation,) = observations(found)
    assert observation.comment == "12.1 l'an dernier"
    assert [one.value.type for one in observation.previous] == ["ratio", "range", "datetime"]
