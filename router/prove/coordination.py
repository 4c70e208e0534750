"""The flow of every router under proof: results of one laboratory to one receiving tool, as FHIR."""

from __future__ import annotations


def laboratory_to_dossier(listen: str, fhir_url: str, max_attempts: int) -> str:
    """Write the source, the destination and the route: retries are quick, so that the end of a proof settles.

    `listen` is the address for MLLP, `fhir_url` the tool's, `max_attempts` how often one delivery is tried.
    """
    return f"""\
[sources.labo]
connector = "mllp"
listen = "{listen}"
format = "hl7v2"

[destinations.coordination]
connector = "fhir"
url = "{fhir_url}"
concurrency = 8
retry = {{ max_attempts = {max_attempts}, first_delay = 0.1, max_delay = 1.0 }}

[[routes]]
name = "laboratory results to the dossier"
when = "item.kind == 'lab_report' && patient.in_coordination"
to = ["coordination"]
"""
