"""The HTTP API, under `/api/v1`: the same journal, for programs, in JSON; refusals are `application/problem+json`."""

from __future__ import annotations

from fastapi import FastAPI

from router.web.api import (
    accounts,
    bulk,
    codes,
    configuration,
    deliveries,
    directory,
    dossiers,
    flows,
    habilitations,
    health,
    identities,
    mail,
    mappings,
    merges,
    messages,
    patients,
    pauses,
    submissions,
)
from router.web.api.declared import declare_problems

PREFIX = "/api/v1"


def mount_api(app: FastAPI) -> None:
    """Add the API to an application."""
    for module in (
        messages,
        deliveries,
        bulk,
        patients,
        merges,
        identities,
        dossiers,
        habilitations,
        codes,
        mappings,
        directory,
        mail,
        submissions,
        flows,
        pauses,
        configuration,
        accounts,
        health,
    ):
        app.include_router(module.router, prefix=PREFIX)
    app.include_router(health.router, include_in_schema=False)
    declare_problems(app)
