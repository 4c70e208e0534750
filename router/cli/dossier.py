"""`passerelle dossier`: dossiers, their circles and consents from the terminal. It works beside a running router.

Sub-commands about one dossier take the patient's number in the register, or `AUTHORITY|IDENTIFIER`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from router.cli.base import Failed, config_option
from router.cli.dossier_circle import command_circle
from router.cli.dossier_consent import command_consent, emergency, hide, keep_to, unhide
from router.cli.dossier_desk import ask, by_now, by_option, done, patient_number, show_table
from router.cli.dossier_extract import command_extract
from router.cli.dossier_indicators import command_indicators
from router.cli.dossier_matrix import command_habilitations, command_matrix, command_rules
from router.cli.dossier_notices import command_notices
from router.cli.terminal import opened

if TYPE_CHECKING:
    from router.dossier.overview import MemberAccess, Overview

PATIENT = click.argument("patient")


@click.group("dossier")
def command_dossier() -> None:
    """Coordination dossiers: who is in a person's circle, what they agreed to, who may see what and why.

    A message never opens a dossier: a person does, with the consent.
    """


command_dossier.add_command(command_circle)
command_dossier.add_command(command_consent)
command_dossier.add_command(command_matrix)
command_dossier.add_command(command_habilitations)
command_dossier.add_command(command_rules)
command_dossier.add_command(command_notices)
command_dossier.add_command(command_indicators)
command_dossier.add_command(command_extract)
for command in (hide, keep_to, unhide, emergency):
    command_dossier.add_command(command)


@command_dossier.command("open")
@PATIENT
@click.option("--owner", required=True, help="Name of the responsible structure (DAC, SSIAD…).")
@click.option("--owner-finess", default="", help="Its FINESS number.")
@click.option(
    "--tool", "tools", multiple=True, help="Where it is mirrored: sicodom, parcours, spico, mespatients, other."
)
@click.option("--reason", default="", help="Reason of inclusion.")
@click.option(
    "--consent", "channel", type=click.Choice(["paper", "digital", "oral"]), help="How the consent was given."
)
@click.option("--collected-by", default="", help="Who informed the person and collected the consent.")
@click.option("--proof", default="", help="Where the proof is.")
@by_option
@config_option
def dossier_open(
    patient: str,
    owner: str,
    owner_finess: str,
    tools: tuple[str, ...],
    reason: str,
    channel: str | None,
    collected_by: str,
    proof: str,
    why: str,
    config: Path,
) -> int:
    """Open a dossier. Without --consent it is only proposed: nobody sees anything until the consent is recorded.

    \b
    Examples:
      passerelle dossier open 12 --owner "DAC du Pays" --consent oral --collected-by "A. Martin"
    """
    from router.dossier.dossiers import open_dossier
    from router.engine.clock import moment
    from schemas.actors import Organization
    from schemas.coding import Identifier
    from schemas.consent import Consent, ConsentChannel, ConsentKind
    from schemas.dossier import CoordinationTool

    if channel is not None and not collected_by:
        raise Failed("say with --collected-by who informed the person")
    known = {tool.value for tool in CoordinationTool}
    for tool in tools:
        if tool not in known:
            raise Failed(f"--tool {tool!r} is none of: {', '.join(sorted(known))}")
    identifiers = (Identifier(value=owner_finess, type="FINEG"),) if owner_finess else ()
    by = by_now(why)
    consent = None
    if channel is not None:
        consent = Consent(
            kind=ConsentKind.OPENING,
            at=moment(by.now).isoformat(timespec="seconds"),
            collected_by=collected_by,
            channel=ConsentChannel(channel),
            proof=proof or None,
        )
    with opened(config) as store:
        number = patient_number(store, patient)
        change = open_dossier(
            number,
            Organization(name=owner, identifiers=identifiers),
            by=by,
            consent=consent,
            tools=[CoordinationTool(tool) for tool in tools] or [CoordinationTool.OTHER],
            reason=reason or None,
        )
        return done(store, change, "Dossier {number} is open." if consent else "Dossier {number} is proposed.")


def _stating(name: str, sentence: str, word: str) -> click.Command:
    @command_dossier.command(name, help=sentence)
    @PATIENT
    @by_option
    @config_option
    def command(patient: str, why: str, config: Path) -> int:
        from router.dossier.dossiers import change_state
        from schemas.dossier import DossierState

        state = {
            "activate": DossierState.ACTIVE,
            "suspend": DossierState.SUSPENDED,
            "close": DossierState.CLOSED,
        }[name]
        with opened(config) as store:
            change = change_state(patient_number(store, patient), state, by=by_now(why))
            return done(store, change, f"Dossier {{number}} is {word}.")

    return command


_stating("activate", "Make a proposed or suspended dossier active; the consent to its opening must stand.", "active")
_stating("suspend", "Suspend a dossier: nobody of the circle sees anything until it is active again.", "suspended")
_stating("close", "Close a dossier: nobody of the circle sees anything any more.", "closed")


@command_dossier.command("adopt")
@PATIENT
@by_option
@config_option
def dossier_adopt(patient: str, why: str, config: Path) -> int:
    """Let the dossier of a patient who was merged become the survivor's, who has none. Undoing the merge undoes it."""
    from router.dossier.merging import adopt_dossier

    with opened(config) as store:
        change = adopt_dossier(patient_number(store, patient), by=by_now(why))
        return done(store, change, "Dossier {number} is the survivor's.")


@command_dossier.command("list")
@click.option("--after", default=0, help="Go on after this dossier.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 500))
@config_option
def dossier_list(after: int, limit: int, config: Path) -> None:
    """List the open dossiers, without names."""
    from router.dossier.dossiers import open_dossiers
    from router.engine.clock import moment

    with opened(config) as store:
        found = ask(store, lambda view: open_dossiers(view, after=after, limit=limit))
    rows = [
        (
            str(one.id),
            str(one.patient_id),
            one.state.value,
            one.body.owner.name or "",
            f"{moment(one.opened_at):%Y-%m-%d}",
        )
        for one in found
    ]
    show_table(("dossier", "patient", "state", "owner", "opened"), rows, "No dossier is open.")


@command_dossier.command("show")
@PATIENT
@config_option
def dossier_show(patient: str, config: Path) -> int:
    """Show a dossier: circle with periods, consents, restrictions, and who may do what, by which rule. Audited."""
    from router.dossier.overview import overview

    by = by_now()
    with opened(config) as store:
        number = patient_number(store, patient)
        found = ask(store, lambda view: overview(view, number, now=by.now), audit=("read dossier", f"patient {number}"))
        if found is None:
            raise Failed("this patient has no dossier; `passerelle dossier open` opens one")
        _show(found)
    return 0


def _show(found: Overview) -> None:
    from schemas.habilitation import DataCategory

    line = found.line
    click.echo(f"Dossier {line.id} of patient {line.patient_id}: {line.state.value}, circle version {line.version}")
    click.echo(f"Owner: {line.body.owner.name}. Key: {line.body.key}")
    members = [
        (
            str(one.line.seat.id),
            one.line.seat.member.label,
            one.line.seat.family.value,
            one.line.seat.member.state.value,
            f"{one.line.seat.member.start} – {one.line.seat.member.end or ''}",
            "yes" if one.line.seat.member.in_care_team else "no",
            one.line.added_by,
        )
        for one in found.members
    ]
    show_table(("member", "who", "family", "state", "period", "care team", "added by"), members, "Nobody is in it.")
    show_table(
        ("member", *(category.value for category in DataCategory), "why not"),
        [(str(one.line.seat.id), *(each.level.value for each in one.accesses), _why_not(one)) for one in found.members],
        "",
    )
    consents = [
        (
            str(one.id),
            one.consent.kind.value,
            "yes" if one.consent.given else "no",
            one.consent.at,
            one.consent.channel.value,
            one.consent.collected_by,
            _scope(one.consent.members, [each.value for each in one.consent.categories]),
            "withdrawn" if one.withdrawn is not None else "",
        )
        for one in found.consents
    ]
    heads = ("record", "kind", "given", "on", "channel", "collected by", "about", "")
    show_table(heads, consents, "No consent is recorded.")
    for restriction in found.restrictions:
        about = _scope(restriction.restriction.members, [one.value for one in restriction.restriction.families])
        click.echo(f"Restriction {restriction.id}: {restriction.restriction.kind.value}, {about or 'from everybody'}")
    for emergency_access in found.emergencies:
        click.echo(f"Emergency access of {emergency_access.who}, {emergency_access.at} to {emergency_access.until}")


def _why_not(one: MemberAccess) -> str:
    """Tell the rules that keep a member from something, each with the categories that it keeps."""
    kept: dict[str, list[str]] = {}
    for each in one.accesses:
        if each.level.value == "-":
            kept.setdefault(each.rule.value, []).append(each.category.value)
    whole = len(one.accesses)
    told = (f"{rule} ({'everything' if len(names) == whole else ', '.join(names)})" for rule, names in kept.items())
    return "; ".join(told)


def _scope(members: Sequence[int], names: Sequence[str]) -> str:
    parts = [f"member {number}" for number in members] + list(names)
    return ", ".join(parts)


@command_dossier.command("history")
@PATIENT
@click.option("--before", type=int, help="Go on before this line.")
@config_option
def dossier_history(patient: str, before: int | None, config: Path) -> None:
    """List what was changed in a dossier, newest first: who, when, why."""
    from router.dossier.dossiers import HistoryLine, history
    from router.dossier.keeping import dossier_of
    from router.engine.clock import moment
    from router.journal.view import View

    def find(view: View) -> list[HistoryLine]:
        line = dossier_of(view.connection, view.sealer, number)
        return [] if line is None else history(view, line.id, before=before)

    with opened(config) as store:
        number = patient_number(store, patient)
        found = ask(store, find, audit=("read dossier history", f"patient {number}"))
    rows = [
        (str(one.id), f"{moment(one.at):%Y-%m-%d %H:%M:%S}", one.actor, one.action, str(one.subject or ""), one.why)
        for one in found
    ]
    show_table(("line", "when (UTC)", "who", "what", "number", "why"), rows, "Nothing was changed.")


@command_dossier.command("accesses")
@PATIENT
@click.option("--before", type=int, help="Go on before this line.")
@config_option
def dossier_accesses(patient: str, before: int | None, config: Path) -> None:
    """List who of the circle (or not) asked for what in a dossier, what was decided, and by which rule."""
    from router.dossier.accesses import AccessLine, accesses
    from router.dossier.keeping import dossier_of
    from router.engine.clock import moment
    from router.journal.view import View

    def find(view: View) -> list[AccessLine]:
        line = dossier_of(view.connection, view.sealer, number)
        return [] if line is None else accesses(view, line.id, before=before)

    with opened(config) as store:
        number = patient_number(store, patient)
        found = ask(store, find, audit=("read dossier accesses", f"patient {number}"))
    rows = [
        (
            str(one.id),
            f"{moment(one.at):%Y-%m-%d %H:%M:%S}",
            one.reader,
            one.action.value,
            one.category,
            str(one.item_id or ""),
            "allowed" if one.allowed else "denied",
            one.rule,
        )
        for one in found
    ]
    show_table(
        ("line", "when (UTC)", "who", "what", "category", "item", "", "rule"), rows, "Nobody asked for anything."
    )


@command_dossier.command("may")
@PATIENT
@click.argument("member", type=int)
@click.argument("item", type=int)
@click.option(
    "--action", "word", type=click.Choice(["tell", "push", "read", "write"]), default="read", show_default=True
)
@config_option
def dossier_may(patient: str, member: int, item: int, word: str, config: Path) -> int:
    """Say whether a MEMBER may see an ITEM of a dossier, and by which rule. Exit status 1: they may not."""
    from router.dossier.doors import Explained, explained
    from router.journal.view import View
    from schemas.habilitation import Action

    by = by_now()

    def find(view: View) -> Explained | None:
        return explained(view, number, member, item, Action(word), now=by.now)

    with opened(config) as store:
        number = patient_number(store, patient)
        found = ask(store, find, audit=("explain access", f"item {item}"))
    if found is None:
        raise Failed("there is no such member, or no such item, in this patient's dossier")
    said = "yes" if found.verdict.allowed else "no"
    click.echo(f"{said}: {found.verdict.reason} (rule {found.verdict.rule.value}, category {found.category.value})")
    return 0 if found.verdict.allowed else 1
