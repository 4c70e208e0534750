"""`passerelle dossier consent`, `hide`, `keep-to`, `unhide` and `emergency`."""

from __future__ import annotations

from pathlib import Path

import click

from router.cli.base import Failed, config_option
from router.cli.dossier_circle import FAMILIES
from router.cli.dossier_desk import by_now, by_option, done, patient_number
from router.cli.terminal import opened

KINDS = [
    "opening-information",
    "share-outside-team",
    "opposition-total",
    "opposition-member",
    "opposition-category",
    "hospital-notification",
]
CATEGORIES = ["identity", "events", "notes", "documents", "lab", "measures", "plans", "agenda", "social"]


@click.group("consent")
def command_consent() -> None:
    """Record what the person agreed to, or opposes, with its proof; withdraw it; nothing is rewritten."""


@command_consent.command("record")
@click.argument("patient")
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--refused", is_flag=True, help="The person was asked, and said no.")
@click.option("--channel", type=click.Choice(["paper", "digital", "oral"]), required=True, help="How it was collected.")
@click.option("--collected-by", required=True, help="Who collected it.")
@click.option("--on", default="", help="When.  [default: now]")
@click.option("--until", default="", help="Last day on which it holds.")
@click.option("--proof", default="", help="Where the proof is.")
@click.option("--member", "members", type=int, multiple=True, help="Only about this member; may be repeated.")
@click.option("--category", "categories", type=click.Choice(CATEGORIES), multiple=True, help="Only about this data.")
@by_option
@config_option
def consent_record(
    patient: str,
    kind: str,
    refused: bool,
    channel: str,
    collected_by: str,
    on: str,
    until: str,
    proof: str,
    members: tuple[int, ...],
    categories: tuple[str, ...],
    why: str,
    config: Path,
) -> int:
    """Record a consent or an opposition. It takes effect at once.

    \b
    Examples:
      passerelle dossier consent record 12 share-outside-team --member 4 --category notes --channel paper \\
          --collected-by "A. Martin"
    """
    from pydantic import ValidationError

    from router.dossier.consents import record_consent
    from router.engine.clock import moment
    from schemas.consent import Consent, ConsentChannel, ConsentKind
    from schemas.habilitation import DataCategory

    by = by_now(why)
    try:
        consent = Consent(
            kind=ConsentKind(kind),
            given=not refused,
            at=on or moment(by.now).isoformat(timespec="seconds"),
            collected_by=collected_by,
            channel=ConsentChannel(channel),
            proof=proof or None,
            valid_until=until or None,
            members=members,
            categories=tuple(DataCategory(one) for one in categories),
        )
    except ValidationError as wrong:
        raise Failed(f"{'.'.join(str(part) for part in wrong.errors()[0]['loc'])}: not a date") from None
    with opened(config) as store:
        return done(store, record_consent(patient_number(store, patient), consent, by=by), "Record {number} is kept.")


@command_consent.command("withdraw")
@click.argument("patient")
@click.argument("record", type=int)
@by_option
@config_option
def consent_withdraw(patient: str, record: int, why: str, config: Path) -> int:
    """Withdraw a consent, or lift an opposition: it counts no more, and stays on record."""
    from router.dossier.consents import withdraw_consent

    with opened(config) as store:
        change = withdraw_consent(patient_number(store, patient), record, by=by_now(why))
        return done(store, change, "Record {number} counts no more.")


def _restricting(name: str, kind: str, sentence: str) -> click.Command:
    @click.command(name, help=sentence)
    @click.argument("patient")
    @click.argument("item", type=int)
    @click.option("--member", "members", type=int, multiple=True, help="This member; may be repeated.")
    @click.option("--family", "families", type=click.Choice(FAMILIES), multiple=True, help="This role family.")
    @by_option
    @config_option
    def command(
        patient: str, item: int, members: tuple[int, ...], families: tuple[str, ...], why: str, config: Path
    ) -> int:
        from router.dossier.restrictions import restrict
        from schemas.circle import RoleFamily
        from schemas.visibility import Restriction, RestrictionKind

        if kind == "audience" and not (members or families):
            raise Failed("say to whom it is kept: --member or --family")
        restriction = Restriction(
            kind=RestrictionKind(kind), members=members, families=tuple(RoleFamily(one) for one in families)
        )
        with opened(config) as store:
            change = restrict(patient_number(store, patient), item, restriction, by=by_now(why))
            return done(store, change, "Restriction {number} is kept.")

    return command


hide = _restricting(
    "hide", "hidden", "Hide an ITEM, and its versions to come, from some; from everybody without options."
)
keep_to = _restricting("keep-to", "audience", "Keep an ITEM, and its versions to come, to some only.")


@click.command("unhide")
@click.argument("patient")
@click.argument("restriction", type=int)
@by_option
@config_option
def unhide(patient: str, restriction: int, why: str, config: Path) -> int:
    """Lift a restriction (`hide`, `keep-to`)."""
    from router.dossier.restrictions import lift_restriction

    with opened(config) as store:
        change = lift_restriction(patient_number(store, patient), restriction, by=by_now(why))
        return done(store, change, "Restriction {number} is lifted.")


@click.command("emergency")
@click.argument("patient")
@click.option("--rpps", required=True, help="RPPS number of the health professional.")
@click.option("--who", required=True, help="Their name.")
@click.option("--why", required=True, help="Why: kept, and told to the general practitioner.")
@click.option("--hours", default=2.0, show_default=True, type=click.FloatRange(0.1, 24.0))
@config_option
def emergency(patient: str, rpps: str, who: str, why: str, hours: float, config: Path) -> int:
    """Open an emergency access («bris de glace»). It lifts no opposition, mask or restriction."""
    from router.dossier.consents import open_emergency
    from schemas.circle import party_keys
    from schemas.coding import Identifier

    keys = party_keys([Identifier(value=rpps, type="RPPS")])
    with opened(config) as store:
        change = open_emergency(patient_number(store, patient), keys, who, by=by_now(why), hours=hours)
        return done(store, change, "Emergency access {number} is open; the general practitioner is told.")
