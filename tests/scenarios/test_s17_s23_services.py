"""S17 to S19 and S23: INSi, the DMP and the directory, as sandboxes serve them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dossier_scene import SAAD, doctor, home_help, professional
from rose_scene import GP, INS, RPPS, TEST_NIR, RoseScene, identity, rose_scene

from connectors.ins.sandbox import InsiSandbox, Insured, Mood
from connectors.sandbox.annuaire import KEY, AnnuaireSandbox, professionals
from connectors.sandbox.dmp import DmpSandbox
from connectors.sandbox.dmp.others import deposit
from connectors.sandbox.people import PRESCRIBER, ROSE
from connectors.sandbox.tools import Tool, resources
from router.identity.insi import InsiResult
from router.identity.insi_records import Accepted, accept
from router.identity.patients import register
from router.journal import tables
from schemas.coding import Identifier
from schemas.identity import IdentityStatus, Ins, Sex

HELD = Insured("FICTIVE-ROSE", ("MIREILLE", "TESTA"), "F", "1979-03-05", "35238", INS, TEST_NIR, (), (), "")
ACCESS = """
connector = "dmp"
url = "{url}"
tls = {{ ca = "{ca}", cert = "{client.certificate}", key = "{client.key}" }}
signature = {{ cert = "{signer.certificate}", key = "{signer.key}" }}
sector = "SA01"
homologation = "SANDBOX"
oid = "1.2.250.1.999.67"

[user]
id = "8{user.rpps}"
name = "{user.family_name} {user.given_name}"
profession = "10"
profession_label = "Médecin"
speciality = "SM26"
speciality_label = "Généraliste"
"""
DEPOSITS = """
[[routes]]
name = "documents that the tool writes, to the DMP"
when = "source == 'dossier' && item.kind == 'document'"
to = ["dmp"]
"""
AS_ROSE: dict[str, Any] = {
    "ins": Ins(matricule=ROSE.matricule, oid=TEST_NIR),
    "identifiers": (Identifier(system="urn:oid:1.2.250.1.999.35.1", value=ROSE.ipp, type="PI"),),
    "birth_name": ROSE.birth_name,
    "birth_given_names": ROSE.birth_given_names,
    "first_given_name": ROSE.birth_given_names[0],
    "birth_date": ROSE.birth_date.isoformat(),
    "sex": Sex.FEMALE,
    "birth_place": ROSE.birth_place,
}


async def test_s17_insi_qualifies_an_identity(template: Path, tmp_path: Path, dmp: DmpSandbox) -> None:
    async with InsiSandbox([HELD]) as insi:
        section = f'[insi]\nurl = "{insi.url}"\nauthorisation = "TEST"\nemitter = "10B0000000"\nper_minute = 6000\n'
        present = datetime.now(UTC)
        async with rose_scene(template, tmp_path / "router", section + deposits(dmp), beginning=present) as scene:
            # The inclusion form says her traits, and nobody has looked at a paper of hers yet.
            await scene.open(("gp", doctor()), ins=None, status=IdentityStatus.PROVISIONAL)
            gp = await scene.tool("globule", GP)
            for mood, result in ((Mood.SEVERAL, InsiResult.SEVERAL), (Mood.NOBODY, InsiResult.NONE)):
                insi.mood = mood
                answer = await scene.engine.insi.query(scene.patient_number, actor="claire")
                assert (answer.result, answer.found) == (result, None)
                # One task for the identity officer, however often it is asked; she stays as she was.
                assert tasks(scene) == [("ins_not_single", None)]
                assert await with_ins(gp, scene) is None
                assert await status_of(gp, scene) == "PROV"
            reply = await gp.client.call("POST", "DocumentReference", synthesis(scene, gp))
            assert (reply.status, reply.resource["resourceType"]) == (422, "OperationOutcome")
            assert "ITI-41" not in dmp.calls
            insi.mood = Mood.WELL
            one = await scene.engine.insi.query(scene.patient_number, actor="claire")
            assert one.result is InsiResult.FOUND
            assert one.found is not None
            # A paper was looked at meanwhile, so that what INSi says qualifies her.
            now = int(scene.now().timestamp() * 1_000_000)
            checked = identity(ins=None, status=IdentityStatus.VALIDATED)
            await scene.apply(register(checked, in_coordination=True, now=now))
            change = accept(scene.patient_number, one.found, actor="claire", now=now)
            assert await scene.apply(change) is Accepted.DONE
            scene.engine.wake()
            known = await scene.until_found(lambda: with_ins(gp, scene))
            assert known == {"system": f"urn:oid:{TEST_NIR}", "value": INS}
            # Validated, with an INS that INSi gave: qualified, as FR Core says it now (VALI before, and in PID-32).
            assert await status_of(gp, scene) == "QUAL"
            [(kind, closed)] = tasks(scene)
            assert (kind, closed is not None) == ("ins_not_single", True)


def tasks(scene: RoseScene) -> list[tuple[str, int | None]]:
    """The identity tasks, and when each was closed."""
    return [(row.kind, row.closed_at) for row in scene.rows(tables.identity_task)]


async def status_of(tool: Tool, scene: RoseScene) -> str:
    """The identity status that a tool reads of her (table 0445)."""
    patient = await tool.client.expect("GET", scene.patient)
    [code] = [
        part["valueCoding"]["code"]
        for one in patient["extension"]
        if one["url"].endswith("fr-core-identity-reliability")
        for part in one["extension"]
        if part["url"] == "identityStatus"
    ]
    return str(code)


def synthesis(scene: RoseScene, tool: Tool) -> dict[str, Any]:
    """A synthesis as a tool publishes one."""
    return dict(
        resources.document(
            scene.patient,
            "34133-9",
            "11",
            "Synthèse",
            b"%PDF-1.4 fictive\n%%EOF",
            oid="urn:oid:2.999.67.5",
            author=tool.author,
            custodian=resources.structure_of("670000009", "CABINET FICTIF"),
            at=scene.now(),
        )
    )


async def with_ins(tool: Any, scene: RoseScene) -> dict[str, str] | None:
    patient = await tool.client.expect("GET", scene.patient)
    for one in patient["identifier"]:
        if one["system"] == f"urn:oid:{TEST_NIR}":
            return {"system": one["system"], "value": one["value"]}
    return None


@pytest.fixture
async def dmp(tmp_path: Path) -> AsyncIterator[DmpSandbox]:
    async with DmpSandbox(tmp_path / "dmp") as dmp:
        yield dmp


def access(dmp: DmpSandbox, section: str, *more: str) -> str:
    """The section of a source or destination that works with the sandbox."""
    held = dmp.certificates
    text = ACCESS.format(url=dmp.url, ca=held.authority, client=held.client, signer=held.signer, user=PRESCRIBER)
    plain, _, user = text.partition("[user]")
    return "\n".join([f"[{section}]", plain.strip(), *more, f"[{section}.user]", user.strip(), ""])


def deposits(dmp: DmpSandbox) -> str:
    return access(dmp, "destinations.dmp", 'options = { source_id = "1.2.250.1.999.67" }') + DEPOSITS


async def test_s18_a_synthesis_goes_to_the_dmp(template: Path, tmp_path: Path, dmp: DmpSandbox) -> None:
    present = datetime.now(UTC)
    async with rose_scene(template, tmp_path / "router", deposits(dmp), beginning=present) as scene:
        await scene.open(("gp", doctor()), **AS_ROSE)
        gp = await scene.tool("globule", GP)
        made = await gp.post_document(scene.patient, "34133-9", "11", "Synthèse", b"%PDF-1.4 synthese fictive\n%%EOF")
        # The tool sees what became of it: the state, and the number under which the DMP has it.
        told = await scene.until_found(lambda: where_it_went(gp, made["id"], "acknowledged"), 30)
        assert told["destination"] == ["dmp"]
        number = made["masterIdentifier"]["value"].removeprefix("urn:oid:")
        assert number in told["identifier"]
        assert len(dmp.store.entries_by(unique_ids=[number])) == 1
        assert dmp.calls.count("ITI-41") == 1
        other = await scene.tool("spico", GP, as_profile="spico")
        assert (await other.client.call("GET", f"DocumentReference/{made['id']}/$sent")).status == 403


async def where_it_went(tool: Tool, number: str, state: str) -> dict[str, list[str]] | None:
    """What the tool is told of the one delivery of a document, once it is in this state."""
    told = await tool.client.expect("GET", f"DocumentReference/{number}/$sent")
    found: dict[str, list[str]] = {}
    for one in told.get("parameter", ()):
        for part in one["part"]:
            value = part.get("valueIdentifier", {}).get("value") or part.get("valueString") or part.get("valueCode")
            found.setdefault(part["name"], []).append(value)
    return found if found.get("state") == [state] else None


async def test_s18_the_tool_is_told_at_once_that_nothing_can_go(
    template: Path, tmp_path: Path, dmp: DmpSandbox
) -> None:
    present = datetime.now(UTC)
    async with rose_scene(template, tmp_path / "router", deposits(dmp), beginning=present) as scene:
        await scene.open(("gp", doctor()), **AS_ROSE | {"status": IdentityStatus.PROVISIONAL, "ins": None})
        gp = await scene.tool("globule", GP)
        reply = await gp.client.call("POST", "DocumentReference", synthesis(scene, gp))
        assert (reply.status, reply.resource["resourceType"]) == (422, "OperationOutcome")
        [issue] = reply.resource["issue"]
        assert (issue["code"], issue["expression"]) == ("business-rule", ["DocumentReference.subject"])
        assert "not qualified" in issue["diagnostics"]
        assert await gp.client.search("DocumentReference", patient=scene.patient) == []
        assert scene.rows(tables.message) == scene.rows(tables.delivery) == []
        assert "ITI-41" not in dmp.calls
        # A note of the booklet is for nobody but the circle, and is taken.
        await gp.post_note(scene.patient, "message", "Suivi", "Elle va bien.")


async def test_s18_kept_where_the_router_is_told_to_keep(template: Path, tmp_path: Path, dmp: DmpSandbox) -> None:
    present = datetime.now(UTC)
    async with rose_scene(template, tmp_path / "router", deposits(dmp), beginning=present, keeps=True) as scene:
        await scene.open(("gp", doctor()), **AS_ROSE | {"status": IdentityStatus.PROVISIONAL, "ins": None})
        gp = await scene.tool("globule", GP)
        made = await gp.post_document(scene.patient, "34133-9", "11", "Synthèse", b"%PDF-1.4 fictive\n%%EOF")
        told = await scene.until_found(lambda: where_it_went(gp, made["id"], "held"), 5)
        assert "identity" in told["detail"][0]
        assert "ITI-41" not in dmp.calls


async def test_s19_a_new_document_of_the_dmp(template: Path, tmp_path: Path, dmp: DmpSandbox) -> None:
    pulls = access(dmp, "sources.doctor", 'mode = "DIRECTE"', 'profile = "MD"', "per_minute = 6000")
    deposit(dmp.store)
    folder, present = tmp_path / "router", datetime.now(UTC)
    async with rose_scene(template, folder, beginning=present) as before:
        await before.open(("gp", doctor(backlog=True)), **AS_ROSE)
    # The source makes its first round when it starts: for the patients whose dossier is open.
    async with rose_scene(None, folder, pulls, beginning=present + timedelta(seconds=5)) as scene:
        scene.patient_number, scene.members = before.patient_number, before.members
        gp = await scene.tool("globule", GP)
        [listed] = await scene.until_found(lambda: gp.client.search("DocumentReference", patient=scene.patient), 30)
        attachment = listed["content"][0]["attachment"]
        assert "data" not in attachment
        assert scene.told("DOC") == [("DOC", "gp")]
        since = listed["meta"]["lastUpdated"]
        assert await gp.client.search("DocumentReference", patient=scene.patient, _lastUpdated=f"gt{since}") == []
        body = await gp.file_of(listed)
        assert body.status == 200
        assert len(body.content) == attachment["size"]
        read = [row for row in scene.rows(tables.audit) if row.target.startswith("Binary/")]
        assert read, [row.target for row in scene.rows(tables.audit)]


async def test_s23_a_member_of_the_directory(template: Path, tmp_path: Path) -> None:
    async with AnnuaireSandbox(professionals(3)) as annuaire:
        section = f'[annuaire]\nurl = "{annuaire.url}"\napi_key = "{KEY}"\n'
        async with rose_scene(template, tmp_path / "router", section) as scene:
            await scene.open(("gp", doctor()))
            sought, calls = annuaire.people[1], len(annuaire.calls)
            added = await by_rpps(scene, sought.rpps, family="health", basis="suivi à domicile")
            assert added.status == 201, await added.text()
            assert len(annuaire.calls) > calls, "the number was not known here: the directory was asked"
            member = next(one for one in await circle(scene) if one["rpps"] == sought.rpps)
            assert member["member"]["professional"]["family_name"] == sought.family
            assert member["member"]["profession"]["code"]
            assert member["mailbox"] == sought.address
            # They read as the member that the directory made of them.
            tool = await scene.tool("spico", f"{RPPS}|{sought.rpps}", as_profile="spico")
            assert (await tool.client.expect("GET", scene.patient))["resourceType"] == "Patient"
            # Nobody has this number: refused, with what is to be done.
            nobody = await by_rpps(scene, "89970000001", family="health")
            assert nobody.status == 422
            assert "without RPPS" in (await nobody.json())["detail"]
            assert len(await circle(scene)) == 2
            # Without RPPS, under the number that the structure has for them.
            own = (Identifier(system="urn:oid:2.999.67.6", value="AVS-9"),)
            person = professional("1", "TESTAVS").model_copy(update={"identifiers": own})
            await scene.join("helper", home_help(professional=person, organization=SAAD))
            last = (await circle(scene))[-1]
            assert (last["rpps"], last["member"]["professional"]["identifiers"][0]["value"]) == (None, "AVS-9")
            assert last["member"]["organization"]["identifiers"][0]["value"] == SAAD.identifiers[0].value


async def by_rpps(scene: RoseScene, rpps: str, **more: str) -> Any:
    """Let the referent add somebody by number alone, through the router's API."""
    return await scene.ask("POST", f"dossiers/{scene.patient_number}/members/listed", {"rpps": rpps, **more})


async def circle(scene: RoseScene) -> list[dict[str, Any]]:
    """The circle as the router's API shows it."""
    answer = await scene.ask("GET", f"dossiers/{scene.patient_number}")
    found: list[dict[str, Any]] = (await answer.json())["members"]
    return found
