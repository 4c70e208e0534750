"""A second opinion on a Bundle: fhirclient's models of every resource. Slow: for tests and `validate`."""

from __future__ import annotations

import json
import warnings
from importlib import import_module

from schemas.finding import Finding, Severity


def check_with_fhirclient(bundle: bytes) -> tuple[Finding, ...]:
    """Say what fhirclient finds wrong with a Bundle or a single resource: unknown, missing or ill-typed elements.

    A Finding names the resource and the element, never what the element holds.
    """
    try:
        document = json.loads(bundle)
    except (ValueError, RecursionError):
        return (_problem("content", "this is not JSON"),)
    if not isinstance(document, dict):
        return (_problem("content", "this is not a FHIR resource"),)
    findings = list(_check(document, str(document.get("resourceType")), inner=False))
    if document.get("resourceType") == "Bundle" and isinstance(document.get("entry"), list):
        for index, entry in enumerate(document["entry"]):
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if isinstance(resource, dict):
                findings.extend(_check(resource, f"Bundle.entry[{index}].resource", inner=True))
    return tuple(findings)


def _check(resource: dict[str, object], where: str, *, inner: bool) -> list[Finding]:
    kind = str(resource.get("resourceType"))
    if kind == "Bundle" and not inner:
        entries = resource.get("entry")
        bare = (
            [{k: v for k, v in one.items() if k != "resource"} for one in entries if isinstance(one, dict)]
            if (isinstance(entries, list))
            else []
        )
        resource = {**resource, "entry": bare} if bare else {k: v for k, v in resource.items() if k != "entry"}
    try:
        model = getattr(import_module(f"fhirclient.models.{kind.lower()}"), kind)
    except (ImportError, AttributeError):
        return [_problem(where, "this is not a resource type of FHIR R4")]
    from fhirclient.models.fhirabstractbase import FHIRValidationError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model(resource, strict=True)
    except FHIRValidationError as problem:
        return [_problem(path, said) for path, said in _flatten(problem, where)]
    return []


def _flatten(problem: Exception, where: str) -> list[tuple[str, str]]:
    """Walk fhirclient's nested errors down to the elements; its own sentences may quote values and are not repeated."""
    path = getattr(problem, "path", None)
    here = f"{where}.{path}" if path else where
    inner = getattr(problem, "errors", None)
    if inner:
        return [found for one in inner for found in _flatten(one, here)]
    said = {
        KeyError: "a mandatory element is missing",
        AttributeError: "an element does not exist in FHIR R4",
        TypeError: "an element has the wrong type",
    }.get(type(problem), "an element has a value that FHIR R4 does not allow")
    return [(here, said)]


def _problem(where: str, message: str) -> Finding:
    return Finding(severity=Severity.ERROR, code="fhir.r4", where=where, message=message)
