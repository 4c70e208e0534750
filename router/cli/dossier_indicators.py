"""`passerelle dossier indicators`: what happened in a month, by structure, without names."""

from __future__ import annotations

from pathlib import Path

import click

from router.cli.base import Failed, config_file, config_option
from router.cli.dossier_desk import ask, show_table
from router.cli.terminal import opened


@click.command("indicators")
@click.option("--month", required=True, help="The month, as 2026-11.")
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Write them as CSV here.")
@click.option("--pdf", "pdf_file", type=click.Path(dir_okay=False, path_type=Path), help="Write them as PDF here.")
@click.option("--language", type=click.Choice(["fr", "en"]), default="fr", show_default=True, help="Of the PDF.")
@config_option
def command_indicators(month: str, csv_file: Path | None, pdf_file: Path | None, language: str, config: Path) -> int:
    """Count what happened in the dossiers in a month, by responsible structure. A number of 1 to 4 is shown "< 5".

    \b
    Examples:
      passerelle dossier indicators --month 2026-11
      passerelle dossier indicators --month 2026-11 --csv november.csv --pdf november.pdf
    """
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from router.config.load import load
    from router.dossier.indicators import NotAMonth, activities, as_csv, as_pdf, lines, month_of
    from router.web.indicator_words import words
    from router.web.texts import Texts

    zone = ZoneInfo(load(config_file(config)).configuration.web.timezone)
    try:
        wanted = month_of(month, zone)
    except NotAMonth as wrong:
        raise Failed(str(wrong)) from None
    with opened(config) as store:
        found = lines(ask(store, lambda view: activities(view, wanted)), wanted)
    if csv_file is not None:
        csv_file.write_bytes(as_csv(wanted, found))
    if pdf_file is not None:
        texts = Texts.of(language)
        title = f"{texts.say('indicators.title').unescape()} {wanted.name}"
        made_at = datetime.now(zone).isoformat(timespec="seconds")
        pdf_file.write_bytes(as_pdf(wanted, found, words(texts, found), title, made_at))
    if csv_file is None and pdf_file is None:
        names = words(Texts.of("en"), found)
        rows = [(one.structure, one.finess, names[one.indicator], one.value) for one in found]
        show_table(("structure", "FINESS", "indicator", "value"), rows, "There is no dossier.")
    return 0
