"""The page for people: what the sandbox DMP holds, in plain HTML; everything in it is of fictitious people."""

from __future__ import annotations

from html import escape

from connectors.sandbox.dmp.store import DmpStore, HeldEntry, Patient
from connectors.sandbox.dmp.trouble import Troubles

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%;margin:.5rem 0 2rem}th,td{text-align:left;padding:.3rem .6rem;"
    "border-bottom:1px solid #8886;vertical-align:top}code{font-size:.85em;overflow-wrap:anywhere}"
)


def page(store: DmpStore, troubles: Troubles) -> str:
    """Write the page: patients with a word on their DMP, then documents, versions and associations by patient."""
    entries = store.entries()
    by_patient: dict[object, list[HeldEntry]] = {}
    for one in entries:
        by_patient.setdefault(one.patient, []).append(one)
    patients = store.patients()
    known = {one.key for one in patients}
    sections = "".join(_patient(store, one, by_patient[one.key]) for one in patients if one.key in by_patient)
    strangers = [one for key, held in by_patient.items() if key not in known for one in held]
    sections += f"<h2>Patients inconnus</h2>{_entries(strangers)}" if strangers else ""
    planned = "".join(
        f"<li>{trouble} × {times} {escape(transaction)}</li>" for trouble, transaction, times in troubles.planned()
    )
    return (
        '<!DOCTYPE html><html lang="fr"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>DMP fictif</title><style>{_STYLE}</style></head><body><h1>DMP fictif</h1>"
        "<p>Registre et entrepôt de documents de démonstration. Toutes les personnes sont fictives.</p>"
        f"<p>{len(patients)} patients, {len(entries)} fiches, {len(store.lots())} lots.</p>"
        f"{f'<h2>Pannes prévues</h2><ul>{planned}</ul>' if planned else ''}"
        f"{sections or '<p>Aucun document encore.</p>'}<h2>Patients</h2>{_patients(patients)}</body></html>"
    )


def _patients(patients: list[Patient]) -> str:
    rows = "".join(
        f"<tr><td>{escape(one.birth_name)}</td><td>{escape(one.given)}</td><td>{one.birth_date}</td>"
        f"<td><code>{one.key.number}</code></td><td>{_STATES[one.state.value]}</td></tr>"
        for one in patients
    )
    head = "<tr><th>Nom</th><th>Prénoms</th><th>Né(e) le</th><th>INS (test)</th><th>DMP</th></tr>"
    return f"<table>{head}{rows}</table>"


_STATES = {"active": "actif", "closed": "fermé", "opposed": "aucun (opposition)"}


def _patient(store: DmpStore, one: Patient, entries: list[HeldEntry]) -> str:
    uuids = [held.uuid for held in entries]
    links = "".join(
        f"<tr><td>{escape(link.type.rpartition(':')[2])}</td><td><code>{escape(link.source)}</code></td>"
        f"<td><code>{escape(link.target)}</code></td></tr>"
        for link in store.associations_of(uuids)
    )
    return (
        f"<h2>{escape(one.birth_name)} {escape(one.given)}</h2>{_entries(entries)}"
        f"<details><summary>Associations</summary><table><tr><th>Type</th><th>De</th><th>Vers</th></tr>{links}"
        "</table></details>"
    )


def _entries(entries: list[HeldEntry]) -> str:
    rows = "".join(
        f"<tr><td>{escape(', '.join(one.facts.get('Title', ())))}</td><td>{escape(one.status.rpartition(':')[2])}</td>"
        f"<td>{one.version}</td><td>{escape(_codes(one))}</td><td>{escape(one.owner.structure)}</td>"
        f"<td><code>{escape(one.unique_id)}</code><br><code>{escape(one.uuid)}</code></td></tr>"
        for one in entries
    )
    head = "<tr><th>Titre</th><th>Statut</th><th>Version</th><th>Confidentialité</th><th>Structure</th>"
    return f"<table>{head}<th>uniqueId, entryUUID</th></tr>{rows}</table>"


def _codes(one: HeldEntry) -> str:
    return ", ".join(code.partition("^")[0] for code in one.facts.get("ConfidentialityCode", ()))
