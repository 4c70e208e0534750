from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings, strategies as st

from mappings.contracts import Format, ReadContext, WriteContext
from mappings.hprim_medecin import FORMAT as MEDECIN
from mappings.hprim_sante import FORMAT as SANTE
from mappings.lab_status import observations_of
from schemas.actors import Address, Organization, Professional, Recipient
from schemas.coding import LOCAL, Coding, Identifier
from schemas.identity import PatientIdentity
from schemas.item import LabReportItem, Provenance
from schemas.lab import (
    CodedValue,
    LabChapter,
    LabReport,
    Observation,
    QuantityValue,
    Reference,
    ResultStatus,
    TextValue,
    Unit,
)

ANY = st.text(st.characters(blacklist_categories=()), max_size=30)
MAYBE = st.none() | ANY


@st.composite
def strange_items(draw: st.DrawFn) -> LabReportItem:
    """A report in which every text is any text at all, delimiters, controls and lone surrogates included."""
    value = draw(
        st.one_of(
            ANY.map(lambda text: TextValue(text=text)),
            ANY.map(lambda text: CodedValue(codes=(Coding(system=LOCAL, code=text),), text=text)),
            st.just(QuantityValue(number="13.20")),
        )
    )
    observation = Observation(
        label=draw(MAYBE),
        codes=(Coding(system=draw(MAYBE), code=draw(ANY), display=draw(MAYBE)),),
        value=value,
        unit=draw(st.none() | ANY.map(lambda raw: Unit(raw=raw))),
        reference=Reference(text=draw(MAYBE)),
        flags=tuple(draw(st.lists(ANY, max_size=2))),
        status=draw(st.sampled_from(ResultStatus)),
        comment=draw(MAYBE),
    )
    number = Identifier(value=draw(ANY), type="PI")
    place = Organization(name=draw(MAYBE), identifiers=(Identifier(value=draw(ANY)),))
    return LabReportItem(
        id="0" * 32,
        patient=PatientIdentity(
            identifiers=(number,),
            birth_name=draw(MAYBE),
            used_given_name=draw(MAYBE),
            addresses=(Address(lines=(draw(ANY),), city=draw(MAYBE)),),
        ),
        sender=place,
        recipients=(Recipient(professional=Professional(name=draw(MAYBE), family_name=draw(MAYBE))),),
        content=LabReport(
            report_id=draw(MAYBE),
            text=draw(MAYBE),
            conclusion=draw(MAYBE),
            chapters=(LabChapter(title=draw(MAYBE), comment=draw(MAYBE), observations=(observation, observation)),),
        ),
        source=Provenance(format="canonical", where="test"),
    )


@pytest.mark.parametrize("target", [MEDECIN, SANTE], ids=["medecin", "sante"])
@settings(max_examples=80, deadline=None)
@given(item=strange_items(), escape=st.sampled_from(["replace", "hl7"]), charset=st.sampled_from(["cp1252", "utf-8"]))
def test_any_text_is_written_and_read_without_an_error(
    target: Format, item: LabReportItem, escape: str, charset: str
) -> None:
    now = datetime(2026, 3, 5, tzinfo=UTC)
    context = WriteContext(now=now, identity="essai", charset=charset, options={"escape": escape})
    rendition = target.write(item, context)
    assert target.sniff(rendition.content) > 0.4
    reading = target.read(rendition.content, ReadContext(charset=charset))
    (read,) = reading.items
    assert read.patient.ins is None
    assert target.positions(rendition.content)
    assert target.pieces(rendition.content)
    if isinstance(item.content.chapters[0].observations[0].value, QuantityValue) and isinstance(read, LabReportItem):
        numbers = [
            one.value.number for one in observations_of(read.content.chapters) if isinstance(one.value, QuantityValue)
        ]
        gone = {ResultStatus.CANCELLED, ResultStatus.REGISTERED, ResultStatus.ENTERED_IN_ERROR}
        stands = item.content.chapters[0].observations[0].status not in gone or target is SANTE
        assert not stands or "13.20" in numbers
