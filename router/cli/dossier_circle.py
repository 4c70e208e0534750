"""`passerelle dossier circle`: adding members, ending memberships, how members wish to be told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from router.cli.base import Failed, config_option
from router.cli.dossier_desk import by_now, by_option, done, patient_number
from router.cli.terminal import opened

FAMILIES = ["physician", "health", "medico_social", "social", "relative", "coordination"]
CHANNELS = ["webhook", "push", "mssante", "sms", "email"]

_PROFESSION = """Code of the profession, TERMINOLOGY:CODE: G15:60, R85:309, R94:41…"""
_SYSTEMS = {
    "G15": "urn:oid:1.2.250.1.71.1.2.7",
    "R85": "urn:oid:1.2.250.1.213.1.6.1.107",
    "R94": "urn:oid:1.2.250.1.213.1.6.1.4",
    "R95": "urn:oid:1.2.250.1.213.1.6.1.109",
}
R259 = "urn:oid:2.16.840.1.113883.5.88"


@click.group("circle")
def command_circle() -> None:
    """Keep the circle of care: who takes part, as what, from when to when."""


@command_circle.command("add")
@click.argument("patient")
@click.option("--name", required=True, help="Family name, or the structure's name with --structure.")
@click.option("--given", default="", help="Given name.")
@click.option("--rpps", default="", help="RPPS number of a professional.")
@click.option("--number", default="", help="AUTHORITY|IDENTIFIER of somebody without RPPS.")
@click.option("--structure", is_flag=True, help="The member is a whole structure; its staff act through it.")
@click.option("--finess", default="", help="FINESS number of the structure: the member itself, or where they act.")
@click.option("--relative", is_flag=True, help="The member is close to the person.")
@click.option("--legal-representative", is_flag=True, help="…and represents them.")
@click.option("--gp", is_flag=True, help="The person's own general practitioner (médecin traitant).")
@click.option("--profession", default="", help=_PROFESSION)
@click.option("--family", type=click.Choice(FAMILIES), help="Column of the matrix.  [default: by the profession]")
@click.option("--mailbox", default="", help="MSSanté address.")
@click.option("--from", "start", default="", help="First day of the period.  [default: now]")
@click.option("--until", "end", default="", help="Last day of the period.")
@click.option("--care-team", default="", help="Why they are of the «équipe de soins» (L.1110-12 CSP).")
@click.option("--invited", is_flag=True, help="Sees nothing until the person agreed to share with them.")
@click.option("--backlog", is_flag=True, help="Also sees what is older than the period.")
@by_option
@config_option
def circle_add(patient: str, why: str, config: Path, **given: Any) -> int:
    """Add a member to the circle of a patient's dossier.

    \b
    Examples:
      passerelle dossier circle add 12 --gp --rpps 89900000001 --name TESTMEDECIN --care-team "médecin traitant"
      passerelle dossier circle add 12 --structure --finess 670000002 --name "SAAD FICTIF" --family social
    """
    from router.dossier.circle import add_member
    from router.engine.clock import moment

    by = by_now(why)
    member = _member(moment(by.now).isoformat(timespec="seconds"), given)
    with opened(config) as store:
        change = add_member(patient_number(store, patient), member, by=by)
        return done(store, change, "Member {number} is in the circle (version {version}).")


def _member(now: str, given: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    from router.dossier.keeping import SENTENCES, Refusal
    from schemas.actors import Organization, Professional, Telecom
    from schemas.circle import PCP, Member, MemberState, Relative, RoleFamily, family_of
    from schemas.coding import Coding, Identifier

    profession = None
    if given["profession"]:
        name, colon, code = given["profession"].partition(":")
        if not colon or name.upper() not in _SYSTEMS:
            raise Failed(f"--profession is one of {', '.join(_SYSTEMS)} with a code, as G15:60")
        profession = Coding(system=_SYSTEMS[name.upper()], code=code)
    role = Coding(system=R259, code=PCP) if given["gp"] else None
    identifiers = []
    if given["rpps"]:
        identifiers.append(Identifier(system="https://rpps.esante.gouv.fr", value=given["rpps"], type="RPPS"))
    if given["number"]:
        system, _, value = given["number"].rpartition("|")
        identifiers.append(Identifier(system=system or None, value=value))
    finess = (Identifier(value=given["finess"], type="FINEG"),) if given["finess"] else ()
    telecoms = (Telecom(kind="mssante", value=given["mailbox"]),) if given["mailbox"] else ()
    professional = relative = None
    organization = Organization(identifiers=finess) if finess else None
    if given["structure"]:
        organization = Organization(name=given["name"], identifiers=finess or tuple(identifiers), telecoms=telecoms)
    elif given["relative"]:
        relative = Relative(
            identifiers=tuple(identifiers),
            family_name=given["name"],
            given_name=given["given"] or None,
            legal_representative=given["legal_representative"],
        )
    else:
        professional = Professional(
            identifiers=tuple(identifiers),
            family_name=given["name"],
            given_name=given["given"] or None,
            telecoms=telecoms,
        )
    family = RoleFamily(given["family"]) if given["family"] else family_of(profession, role)
    if given["relative"]:
        family = RoleFamily.RELATIVE
    if family is None:
        raise Failed(SENTENCES[Refusal.NO_FAMILY])
    try:
        return Member(
            state=MemberState.PROPOSED if given["invited"] else MemberState.ACTIVE,
            family=family,
            role=role,
            profession=profession,
            professional=professional,
            organization=organization,
            relative=relative,
            start=given["start"] or now,
            end=given["end"] or None,
            in_care_team=bool(given["care_team"]),
            basis=given["care_team"] or None,
            backlog=given["backlog"],
        )
    except ValidationError as wrong:
        first = wrong.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "member"
        raise Failed(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None


@command_circle.command("end")
@click.argument("patient")
@click.argument("member", type=int)
@click.option("--on", default="", help="Last day of the membership.  [default: now]")
@by_option
@config_option
def circle_end(patient: str, member: int, on: str, why: str, config: Path) -> int:
    """End a membership. Somebody who comes back is added again."""
    from router.dossier.circle import end_member

    with opened(config) as store:
        change = end_member(patient_number(store, patient), member, by=by_now(why), on=on or None)
        return done(store, change, "Membership {number} is ended (version {version}).")


@command_circle.command("prefer")
@click.argument("patient")
@click.argument("member", type=int)
@click.option(
    "--channel", "channels", multiple=True, type=click.Choice(CHANNELS), help="How to be told: the first counts."
)
@click.option("--events/--no-events", default=None, help="Whether hospital events are told.  [default: the family's]")
@click.option("--quiet", default="", help="Quiet hours, as 22:00-07:00: only urgent notices are sent then.")
@by_option
@config_option
def circle_prefer(
    patient: str, member: int, channels: tuple[str, ...], events: bool | None, quiet: str, why: str, config: Path
) -> int:
    """Keep how a member wishes to be told. What is not said is as if it never was."""
    from pydantic import ValidationError

    from router.dossier.circle import prefer
    from schemas.circle import Channel, Preferences

    start, _, end = quiet.partition("-")
    try:
        wished = Preferences(
            channels=tuple(Channel(one) for one in channels),
            events=events,
            quiet_from=start or None,
            quiet_to=end or None,
        )
    except ValidationError:
        raise Failed("--quiet is two times of day, as 22:00-07:00") from None
    if bool(start) != bool(end):
        raise Failed("--quiet is two times of day, as 22:00-07:00")
    with opened(config) as store:
        change = prefer(patient_number(store, patient), member, wished, by=by_now(why))
        return done(store, change, "The wishes of member {number} are kept (version {version}).")
