"""S01 to S04: an admission reaches everyone, once; who is nobody's patient here gets no dossier."""

from __future__ import annotations

from pathlib import Path

import pytest
from rose_messages import adt
from rose_scene import DAUGHTER, FORMER, GP, HELPER, NURSE, STRUCTURE, RoseScene, whole_circle

from connectors.sandbox.tools import Tool
from router.dossier.circle import prefer
from router.journal import tables
from schemas.circle import Preferences

R254 = "https://mos.esante.gouv.fr/NOS/TRE_R254-TypeEvenement/FHIR/TRE-R254-TypeEvenement"


def alerts(tool: Tool) -> set[str]:
    """The alerts (NdE) among what a tool was told of."""
    return {focus for focus in events(tool) if focus.startswith("CommunicationRequest/")}


def events(tool: Tool) -> list[str]:
    """What a tool was told of, once each."""
    return [focus for one in tool.notices if one.kind == "event-notification" for focus in one.focus]


async def stays(tool: Tool, scene: RoseScene) -> list[dict[str, object]]:
    """The stays that a tool finds; their movements are part of them."""
    found = await tool.client.search("Encounter", patient=scene.patient)
    return [one for one in found if "partOf" not in one]


async def test_s01_an_admission_reaches_everyone(scene: RoseScene) -> None:
    tools = [
        await scene.tool("globule", GP),
        await scene.tool("spico", NURSE, as_profile="spico"),
        await scene.tool("saad", HELPER, structure=STRUCTURE),
        await scene.tool("famille", DAUGHTER, as_profile="mespatients"),
    ]
    former = await scene.tool("ancienne", FORMER)
    for tool in (*tools, former):
        await tool.subscribe()
        await tool.subscribe([f"CommunicationRequest?event-type={R254}|ADM"])
    assert (await scene.send(adt())).code == "AA"
    await scene.until(lambda: len(scene.told()) == 4, 5)
    assert scene.told() == [("ADM", "gp"), ("ADM", "nurse"), ("ADM", "saad"), ("ADM", "daughter")]
    [stay] = await scene.until_found(lambda: stays(tools[0], scene))
    assert stay["class"]["code"] == "EMER"  # type: ignore[index]
    assert stay["period"]["start"] == "2026-03-05T09:41:00+01:00"  # type: ignore[index]
    assert stay["serviceProvider"]["display"] == "CH_FICTIF"  # type: ignore[index]
    for tool in tools:
        await scene.until(lambda tool=tool: f"Encounter/{stay['id']}" in events(tool), 5)
        assert not tool.refused
        await tool.pull()
        assert tool.profile.word("Encounter") in {line.word for line in tool.feed}
        await scene.until(lambda tool=tool: alerts(tool), 5)
        [alert] = alerts(tool)
        notice = await tool.client.expect("GET", alert)
        kinds = [one["valueCodeableConcept"]["coding"][0] for one in notice["extension"] if "event-type" in one["url"]]
        assert [(one["system"], one["code"]) for one in kinds] == [(R254, "ADM")]
        assert "CH_FICTIF" in str(notice)
    assert {row.state for row in scene.rows(tables.alert_notice)} <= {"sent", "delivered", "read"}
    assert events(former) == []
    assert await stays(former, scene) == []


async def test_s01_who_wants_no_events_is_not_told(scene: RoseScene) -> None:
    number = scene.members["daughter"]
    await scene.apply(prefer(scene.patient_number, number, Preferences(events=False), by=scene.by()))
    await scene.send(adt())
    await scene.processed()
    assert scene.told() == [("ADM", "gp"), ("ADM", "nurse"), ("ADM", "saad")]


@pytest.mark.shared_data
async def test_s01_with_the_message_of_the_sheet(empty: RoseScene, shared_data: Path) -> None:
    content = (shared_data / "dossier" / "examples" / "adt-a01-rose.hl7").read_bytes()
    traits = {"ins": None, "status": None, "birth_date": "1936-04-02", "birth_place": "67482"}
    await empty.open(*whole_circle()[:3], **traits)
    assert (await empty.send(content)).code == "AA"
    await empty.processed()
    # The sheet's INS is deliberately no INS: the message is recognised by the hospital's own number.
    assert empty.told() == [("ADM", "gp"), ("ADM", "nurse"), ("ADM", "saad")]


async def test_s02_the_same_message_twice_is_acknowledged_and_told_once(scene: RoseScene) -> None:
    assert (await scene.send(adt())).code == "AA"
    await scene.processed()
    before = len(scene.told()), len(scene.rows(tables.item)), len(scene.rows(tables.resource))
    assert (await scene.send(adt())).code == "AA"
    await scene.processed()
    assert (len(scene.told()), len(scene.rows(tables.item)), len(scene.rows(tables.resource))) == before


async def test_s03_the_same_stay_again_or_updated_is_no_news(scene: RoseScene) -> None:
    tool = await scene.tool("globule", GP)
    await scene.send(adt())
    await scene.processed()
    assert len(scene.told()) == 4
    assert (await scene.send(adt(control="MSG0000002"))).code == "AA"
    assert (await scene.send(adt("A08", "MSG0000003", movement="MVT-0001"))).code == "AA"
    await scene.processed()
    assert len(scene.told()) == 4
    assert len(await stays(tool, scene)) == 1


async def test_s04_an_unknown_patient_is_kept_apart(scene: RoseScene) -> None:
    stranger = adt(control="MSG0000009", ipp="IPP-INCONNU", name="TESTINCONNUE", ins="261127812345674")
    assert (await scene.send(stranger)).code == "AA"
    await scene.processed()
    assert scene.told() == []
    assert [row.patient_id for row in scene.rows(tables.item)] == [None]
    assert len(scene.rows(tables.dossier)) == 1
    # One difference: the given number of the hospital is another, the traits are hers.
    near = adt(control="MSG0000010", ipp="IPP-ROSE-9", ins="", visit="VEN-0002")
    assert (await scene.send(near)).code == "AA"
    await scene.processed()
    assert scene.told() == []
    # The identity desk is where a person answers: it proposes her for the second, and nobody for the first.
    held = [(row.state, row.reason, row.candidates) for row in scene.rows(tables.item)]
    assert held == [("held", "no_match", None), ("held", "traits_only", str(scene.patient_number))]
