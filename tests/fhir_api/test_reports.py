"""What the pipeline committed, read by a tool: found, versioned, taken out, and kept from whom it is not for."""

from __future__ import annotations

from typing import Any

from dossier_scene import SAAD, daughter, document, home_help, nurse
from sqlalchemy import select, update
from web_journal import person, report

from router.dossier.restrictions import restrict
from router.journal import tables
from router.journal.operations import Change
from router.journal.tables import ItemState
from schemas.consent import ConsentKind
from schemas.lab import ResultStatus
from schemas.visibility import Restriction, RestrictionKind

Rig = Any

NURSE = "https://rpps.esante.gouv.fr|89900000002"
STRANGER = "https://rpps.esante.gouv.fr|89900000099"


def refuse(rig: Rig, item_id: int, state: ItemState = ItemState.REFUSED) -> None:
    statement = update(tables.item).where(tables.item.c.id == item_id).values(state=state.value)
    rig.scene.journal.apply(Change(lambda unit: unit.connection.execute(statement).close()))


async def test_a_report_is_found_by_its_patient_with_its_results(rig: Rig) -> None:
    rig.scene.lab("a" * 32)
    await rig.follow()
    tool = rig.tool()
    answer = await tool.get(f"DiagnosticReport?patient={rig.patient}&_include=DiagnosticReport:result")
    bundle = answer.json()
    assert (answer.status, bundle["total"]) == (200, 1)
    modes = [one["search"]["mode"] for one in bundle["entry"]]
    assert modes[0] == "match"
    assert modes.count("include") == len(modes) - 1 > 0
    found = bundle["entry"][0]["resource"]
    assert found["subject"]["reference"] == rig.patient
    assert found["meta"]["versionId"] == "1"
    again = await tool.get(f"DiagnosticReport/{found['id']}")
    assert again.json() == found
    assert again.headers["etag"] == 'W/"1"'
    unchanged = await tool.get(f"DiagnosticReport/{found['id']}", If_None_Match='W/"1"')
    assert (unchanged.status, unchanged.body) == (304, b"")


async def test_values_keep_their_digits(rig: Rig) -> None:
    rig.scene.lab("a" * 32)
    await rig.follow()
    answer = await rig.tool().get(f"Observation?patient={rig.patient}&code=http://loinc.org|718-7")
    assert '"value":7.1,' in answer.text
    assert '"value":12.0,' in answer.text


async def test_a_resend_makes_no_version_and_a_correction_one(rig: Rig) -> None:
    rig.scene.lab("a" * 32)
    await rig.follow()
    rig.scene.lab("a" * 32)
    await rig.follow()
    tool = rig.tool()
    path = f"DiagnosticReport?patient={rig.patient}"
    (first,) = await tool.found(path)
    assert first["meta"]["versionId"] == "1"
    corrected = report(person(1), "b" * 32)
    content = corrected.content.model_copy(update={"status": ResultStatus.CORRECTED, "conclusion": "Corrigé."})
    rig.scene.receive(corrected.model_copy(update={"content": content}))
    await rig.follow()
    (second,) = await tool.found(path)
    assert (second["id"], second["meta"]["versionId"], second["status"]) == (first["id"], "2", "corrected")
    history = (await tool.get(f"DiagnosticReport/{first['id']}/_history")).json()
    assert [one["resource"]["meta"]["versionId"] for one in history["entry"]] == ["2", "1"]
    former = await tool.get(f"DiagnosticReport/{first['id']}/_history/1")
    assert former.json()["conclusion"] == "Anémie sévère."


async def test_an_item_that_a_person_refuses_leaves_nothing_but_that_it_was_in_error(rig: Rig) -> None:
    item_id = rig.scene.lab("a" * 32)
    await rig.follow()
    tool = rig.tool()
    (found,) = await tool.found(f"DiagnosticReport?patient={rig.patient}")
    refuse(rig, item_id)
    await rig.follow()
    (left,) = await tool.found(f"DiagnosticReport?patient={rig.patient}")
    assert (left["id"], left["status"]) == (found["id"], "entered-in-error")
    assert not {"conclusion", "result", "presentedForm", "identifier"} & left.keys()
    assert (await tool.get(f"DiagnosticReport/{found['id']}/_history/1")).status == 403
    history = (await tool.get(f"DiagnosticReport/{found['id']}/_history")).json()
    assert [one["resource"]["status"] for one in history["entry"]] == ["entered-in-error"]
    url = found["presentedForm"][-1]["url"]
    assert (await tool.get(url)).status == 410


async def test_of_two_items_that_say_the_same_the_one_that_is_left_says_it(rig: Rig) -> None:
    rig.scene.lab("a" * 32)
    corrected = report(person(1), "b" * 32)
    content = corrected.content.model_copy(update={"conclusion": "D'un autre patient."})
    wrong = rig.scene.receive(corrected.model_copy(update={"content": content}))
    await rig.follow()
    tool = rig.tool()
    (found,) = await tool.found(f"DiagnosticReport?patient={rig.patient}")
    assert found["conclusion"] == "D'un autre patient."
    refuse(rig, wrong)
    await rig.follow()
    (found,) = await tool.found(f"DiagnosticReport?patient={rig.patient}")
    assert found["conclusion"] == "Anémie sévère."


async def test_an_older_item_that_comes_late_does_not_go_over_a_newer_one(rig: Rig) -> None:
    first = rig.scene.lab("a" * 32)
    refuse(rig, first, ItemState.HELD)
    corrected = report(person(1), "b" * 32)
    content = corrected.content.model_copy(update={"conclusion": "Définitif."})
    rig.scene.receive(corrected.model_copy(update={"content": content}))
    await rig.follow()
    refuse(rig, first, ItemState.ROUTED)
    await rig.follow()
    (found,) = await rig.tool().found(f"DiagnosticReport?patient={rig.patient}")
    assert found["conclusion"] == "Définitif."


async def test_following_again_after_a_kill_doubles_nothing(rig: Rig) -> None:
    item_id = rig.scene.lab("a" * 32)
    await rig.follow()
    before = [(row.id, row.version) for row in rig.rows()]
    again = tables.resource_pending.insert().values(kind="item", number=item_id)
    rig.scene.journal.apply(Change(lambda unit: unit.connection.execute(again).close()))
    await rig.follow()
    assert [(row.id, row.version) for row in rig.rows()] == before
    assert rig.rows(tables.resource_pending) == []


async def test_a_patient_who_is_no_longer_followed_is_gone(rig: Rig) -> None:
    rig.scene.lab("a" * 32)
    await rig.follow()
    statement = update(tables.patient).values(in_coordination=False)
    rig.scene.journal.apply(Change(lambda unit: unit.connection.execute(statement).close()))
    await rig.follow()
    live = select(tables.resource.c.type).where(tables.resource.c.state == 0, tables.resource.c.patient_id.is_not(None))
    with rig.scene.journal.store.reading() as connection:
        assert connection.execute(live).all() == []


async def test_who_may_not_see_results_finds_counts_and_guesses_nothing(rig: Rig) -> None:
    rig.scene.add(home_help())
    rig.scene.lab("a" * 32)
    await rig.follow()
    (found,) = await rig.tool().found(f"DiagnosticReport?patient={rig.patient}")
    helper = rig.tool("saad", user="urn:oid:2.999.67.9|AIDE-1", structure="https://finess.esante.gouv.fr|670000002")
    for path in (
        f"DiagnosticReport?patient={rig.patient}",
        f"Observation?patient={rig.patient}&_total=accurate",
        f"Patient?_id={rig.patient.partition('/')[2]}&_revinclude=DiagnosticReport:subject",
    ):
        bundle = (await helper.get(path)).json()
        kinds = {one["resource"]["resourceType"] for one in bundle.get("entry", [])}
        assert kinds <= {"Patient"}
        assert bundle["total"] == len(bundle.get("entry", []))
    hidden = await helper.get(f"DiagnosticReport/{found['id']}")
    absent = await helper.get("DiagnosticReport/there-is-no-such-thing")
    assert (hidden.status, hidden.body) == (absent.status, absent.body) == (403, absent.body)
    assert (await helper.get(f"DiagnosticReport/{found['id']}/_history")).status == 403
    assert (await helper.get(found["presentedForm"][-1]["url"])).status == 403
    denied = [row for row in rig.rows(tables.dossier_access) if not row.allowed]
    assert {row.rule for row in denied} == {"matrix"}
    assert SAAD.name


async def test_a_stranger_learns_nothing_of_a_dossier(rig: Rig) -> None:
    rig.scene.lab("a" * 32)
    await rig.follow()
    stranger = rig.tool(user=STRANGER)
    for path in (rig.patient, f"Patient?_id={rig.patient.partition('/')[2]}", "Patient?family=FICTIVAL"):
        answer = await stranger.get(path)
        assert answer.status == 403 or answer.json().get("entry") is None
    assert await stranger.found("DiagnosticReport?_lastUpdated=ge2020-01-01") == []
    assert await stranger.found("DiagnosticReport?patient.identifier=urn:oid:1.2.250.1.999.35.1|IPP000001") == []


async def test_a_tool_that_names_nobody_reads_nothing_of_anybody(rig: Rig) -> None:
    rig.scene.lab("a" * 32)
    await rig.follow()
    assert await rig.tool(user="").found(f"DiagnosticReport?patient={rig.patient}") == []


async def test_what_was_hidden_in_the_dossier_is_hidden_here(rig: Rig) -> None:
    nurse_number = rig.scene.add(nurse())
    item_id = rig.scene.lab("a" * 32)
    await rig.follow()
    thing = next(row.thing for row in rig.rows(tables.dossier_entry) if row.item_id == item_id)
    hidden = Restriction(kind=RestrictionKind.HIDDEN, members=(nurse_number,))
    done = rig.scene.journal.apply(restrict(rig.scene.patient, item_id, hidden, by=rig.scene.by(why="à sa demande")))
    assert done.refusal is None
    assert thing
    assert await rig.tool(user=NURSE).found(f"Observation?patient={rig.patient}") == []
    assert len(await rig.tool().found(f"DiagnosticReport?patient={rig.patient}")) == 1


async def test_a_withdrawn_consent_closes_the_door_at_once(rig: Rig) -> None:
    rig.scene.lab("a" * 32)
    await rig.follow()
    tool = rig.tool()
    assert len(await tool.found(f"DiagnosticReport?patient={rig.patient}")) == 1
    rig.scene.consent(ConsentKind.OPPOSITION_TOTAL)
    assert await tool.found(f"DiagnosticReport?patient={rig.patient}") == []


async def test_a_document_is_a_reference_and_its_file_a_binary(rig: Rig) -> None:
    from web_journal import Attachment

    letter = document(
        "l1", attachments=(Attachment(media_type="application/pdf", title="Lettre", data="JVBERi0xLjQK"),)
    )
    rig.scene.receive(letter)
    await rig.follow()
    tool = rig.tool()
    path = f"DocumentReference?patient={rig.patient}&status=current&type=11490-0&category=10"
    (found,) = await tool.found(path)
    form = found["content"][0]["attachment"]
    assert (form["size"], "data" in form) == (9, False)
    file = await tool.get(form["url"])
    assert (file.headers["content-type"], file.body) == ("application/pdf", b"%PDF-1.4\n")
    assert file.headers["content-disposition"] == "attachment"
    wrapped = await tool.get(form["url"], Accept="application/fhir+json")
    assert wrapped.json()["data"] == "JVBERi0xLjQK"


async def test_a_document_that_replaces_another_supersedes_it_whichever_comes_first(rig: Rig) -> None:
    rig.scene.receive(document("l2", replaces_id="2.999.1^l1"))
    rig.scene.receive(document("l1"))
    rig.scene.receive(document("l4"))
    rig.scene.receive(document("l5", replaces_id="2.999.1^l4"))
    await rig.follow()
    tool = rig.tool()
    found = await tool.found(f"DocumentReference?patient={rig.patient}")
    status = {one["masterIdentifier"]["value"]: one["status"] for one in found}
    assert status == {"l1": "superseded", "l2": "current", "l4": "superseded", "l5": "current"}


async def test_a_letter_that_the_patient_may_not_see_is_not_for_a_relative(rig: Rig) -> None:
    rig.scene.add(daughter())
    rig.scene.consent(ConsentKind.SHARE)
    rig.scene.receive(document("l1", labels=("R", "INVISIBLE_PATIENT")))
    await rig.follow()
    relative = rig.tool(user="urn:oid:2.999.67.8|FILLE-1")
    assert await relative.found(f"DocumentReference?patient={rig.patient}") == []
    assert len(await relative.found(f"Patient?_id={rig.patient.partition('/')[2]}")) == 1
