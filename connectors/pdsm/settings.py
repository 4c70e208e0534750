"""Settings of the PDSm source and destination."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, AnyHttpUrl, ByteSize, Field

from connectors.outbound_http import MIB, HttpPeerSettings


def _host(text: str) -> str:
    host = text.strip().lower()
    if not host or any(sign in host for sign in "/@?#*") or host != text.strip().lower():
        raise ValueError("a host name with its port where it is not the usual one, such as documents.example:8443")
    return host


Host = Annotated[str, AfterValidator(_host)]
"""`host` or `host:port`; no address, path or wildcard."""


class PdsmPeerSettings(HttpPeerSettings):
    """A document-sharing server (PDSm, IHE MHD), known by its FHIR base (`url`)."""

    url: AnyHttpUrl = Field(
        description="FHIR base of the server. It never holds a secret: credentials have their keys."
    )
    max_document: ByteSize = Field(
        ByteSize(20 * MIB), ge=1024, description="Largest document sent or fetched; past it, a person must decide."
    )
    search: Literal["post", "get"] = Field(
        "post",
        description="How searches travel. With `get` the patient's number is in the address, which servers and proxies "
        "write into their logs: only for a server that knows no POST …/_search.",
    )


class PdsmDestinationSettings(PdsmPeerSettings):
    """Submits documents to a document-sharing server (ITI-65, ITI-105), replaces them and changes their state."""

    version: str | None = Field(
        None,
        pattern=r"^\d{1,3}(\.\d{1,3}){1,2}$",
        description="Version of the guide that the receiver wants named with each profile, such as 3.1.1. Unset: "
        "profiles are named without version.",
    )
    supersede: Literal["transaction", "patch", "server"] = Field(
        "transaction",
        description="Who marks a replaced document as superseded: the submission itself, a PATCH of ours after it, or "
        "the server by itself.",
    )
    patch: Literal["json", "fhirpath"] = Field(
        "json", description="Form of a change of state: JSON Patch (RFC 6902), or FHIRPath Patch (Parameters)."
    )
    deletion: Literal["entered-in-error", "superseded", "is-deleted"] = Field(
        "entered-in-error",
        description="How this server wants a deletion said, which the guides leave open: one of two statuses, or "
        "`superseded` with the extension isDeleted.",
    )
    require_qualified: bool = Field(
        True, description="Hold what is about a patient without a qualified INS. The DMP takes nothing else."
    )


class PdsmSourceSettings(PdsmPeerSettings):
    """Fetches the documents of the patients followed from a document-sharing server (ITI-66, ITI-67, ITI-68)."""

    every: float = Field(900.0, ge=1, description="Seconds between two rounds over the patients.")
    find: Literal["submissions", "updates"] = Field(
        "submissions",
        description="How news are found: by the submissions since the last round (ITI-66), or by the documents that "
        "changed since (ITI-67 with `_lastUpdated`), for a server that has it.",
    )
    overlap: float = Field(
        86_400.0,
        ge=0,
        description="Seconds before the last round that are asked for again: clocks are never equal, and a submission "
        "bears the date of who made it, not of its arrival.",
    )
    history_days: int = Field(
        730, ge=0, description="Days of the past asked for when a patient is new here; 0 for no limit."
    )
    page_size: int = Field(50, ge=1, le=1000, description="Results asked for at once.")
    max_results: int = Field(
        10_000, ge=1, description="Results read of one search; past it the round stops, and says so."
    )
    allowed_hosts: tuple[Host, ...] = Field(
        (),
        description="Hosts beside the server's own that documents may be fetched from, with the same credentials.",
    )
    superseded_alone: Literal["keep", "deletion"] = Field(
        "keep",
        description="What a document marked superseded that nothing replaces means here: nothing, or a deletion.",
    )
    compare_hours: float = Field(
        24.0,
        ge=0,
        description="Hours between two comparisons of what was taken with what the server still gives; 0 for none.",
    )
    absent: Literal["keep", "deletion"] = Field(
        "keep",
        description="What it means that the server denies having a document that was taken: a warning (it may be "
        "hidden from us), or a deletion.",
    )
    own_sources: tuple[str, ...] = Field(
        (), description="Source OIDs (ihe-sourceId) of submissions that are our own, and never fetched back."
    )
    spool_threshold: ByteSize = Field(
        ByteSize(MIB), ge=1024, description="Contents larger than this are handed over on disk, not in memory."
    )
