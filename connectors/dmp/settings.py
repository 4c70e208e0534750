"""Settings of the DMP: where it is, which two certificates speak for us, who acts, and with what patience."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import AnyHttpUrl, ByteSize, Field, SecretStr, model_validator

from connectors.address import on_this_machine
from connectors.contracts import Settings
from connectors.dmp.rights import Access, Profile
from connectors.dmp.signing import Unusable, same_certificate, signer_of
from connectors.tls import ClientTls

MIB = 1024 * 1024
NEEDS_SPECIALITY = frozenset({"10", "21"})
"""Professions that state a speciality in the VIHF: doctors, pharmacists."""

PATH = r"^[A-Za-z0-9_.~/-]{1,200}$"
OID = r"^[0-2](\.(0|[1-9][0-9]*))+$"


class Mode(StrEnum):
    """How the user is authenticated, as the VIHF says it."""

    DIRECT = "DIRECTE"
    INDIRECT = "INDIRECTE"
    REINFORCED = "INDIRECTE_RENFORCEE"


class SigningPair(Settings):
    """The certificate that signs: ORG_SIGN of the IGC-Santé, or the signature pair of a card. RSA."""

    cert: Path = Field(description="Signing certificate, PEM, followed by its authorities.")
    key: Path | None = Field(None, description="Its private key, PEM; else looked for in the file of `cert`.")
    key_password: SecretStr | None = Field(None, description="Password of the private key, when it is encrypted.")


class DmpUser(Settings):
    """Who acts, as the VIHF says it."""

    id: str = Field(min_length=1, max_length=64, description="PS_IdNat (8 and RPPS…) of the person responsible.")
    name: str | None = Field(None, description="NOM Prénom, or the software's name and model; needed in indirect mode.")
    profession: str = Field(description="Code of the profession (TRE_G15: 10, 21…), or AUTOMATE.")
    profession_label: str = Field(description="Its label: Médecin…")
    profession_system: str = Field("1.2.250.1.71.1.2.7", pattern=OID, description="OID of the profession's table.")
    speciality: str | None = Field(None, description="Code of the speciality (SM26…); doctors and pharmacists need it.")
    speciality_label: str | None = Field(None, description="Its label.")
    speciality_system: str = Field("1.2.250.1.71.4.2.5", pattern=OID, description="OID of the speciality's table.")

    @model_validator(mode="after")
    def _speciality_is_said(self) -> Self:
        if self.profession in NEEDS_SPECIALITY and not self.speciality:
            raise ValueError("doctors and pharmacists need a speciality")
        return self


class DmpSettings(Settings):
    """What both sides need."""

    url: AnyHttpUrl = Field(description="Base address of the DMP's services.")
    repository: str = Field("repository", pattern=PATH, description="Path of ITI-41 and ITI-43 under `url`.")
    registry: str = Field("registry", pattern=PATH, description="Path of ITI-18 and ITI-57 under `url`.")
    patients: str = Field("patients", pattern=PATH, description="Path of TD0.2 under `url`.")
    tls: ClientTls | None = Field(None, description="Mutual TLS: our ORG_AUTH_CLI certificate, and the authorities.")
    signature: SigningPair = Field(description="The second certificate: ORG_SIGN, which signs the VIHF and the lots.")
    mode: Mode = Field(Mode.INDIRECT, description="Authentification_mode of the VIHF.")
    profile: Profile = Field(Profile.STRUCTURE, description="Row of the rights matrix: ES in indirect mode.")
    access: Access = Field(Access.NORMAL, description="Circumstances, as the rights matrix has them.")
    local_rights: bool = Field(True, description="Refuse here what the rights matrix denies; false lets the DMP judge.")
    user: DmpUser = Field(description="Who acts.")
    structure: str | None = Field(
        None,
        max_length=64,
        description="Struct_IdNat. Unset: the OU of the signing certificate, as indirect mode wants.",
    )
    sector: str = Field(pattern=r"^SA\d{2}$", description="Sector of activity (SA01…, JDV_J61).")
    vihf_version: str = Field("3.0", pattern=r"^\d\.\d$", description="VIHF_Version.")
    algorithm: Literal["sha256", "sha1"] = Field("sha256", description="Digest and signature of the VIHF.")
    authentication_class: str = Field(
        "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified",
        description="How the user was really authenticated here (AuthnContextClassRef).",
    )
    purpose: str = Field("normal", description="Code of the purpose of use (mode of access).")
    purpose_label: str = Field("Accès normal", description="Its label.")
    software_name: str = Field("Passerelle", min_length=1, max_length=60, description="LPS_Nom.")
    software_version: str = Field("0.1", min_length=1, max_length=20, description="LPS_Version that was homologated.")
    software_id: str | None = Field(None, max_length=64, description="LPS_ID: number of this installation.")
    homologation: SecretStr = Field(description="LPS_ID_HOMOLOGATION_DMP: number of the homologation, a secret.")
    oid: str = Field(pattern=OID, max_length=64, description="OID of this installation (sender of TD0.2, sourceId).")
    repository_unique_id: str = Field(
        "1.2.250.1.213.4.1.1.1.2", pattern=OID, description="The repository, where no metadata name it."
    )
    proxy: AnyHttpUrl | None = Field(None, description="HTTP proxy on the way out, when the network has one.")
    timeout: float = Field(30.0, gt=0, description="Seconds for one call, from connection to end of answer.")
    connect_timeout: float = Field(10.0, gt=0, description="Seconds to connect, TLS included.")
    concurrency: int = Field(8, ge=1, le=64, description="Calls under way at the same time.")
    max_answer: ByteSize = Field(ByteSize(32 * MIB), ge=1024, description="Largest answer read.")

    @model_validator(mode="after")
    def _calls_are_protected(self) -> Self:
        if self.url.username or self.url.password:
            raise ValueError("the url holds no credentials: the DMP knows its callers by certificate")
        if self.url.scheme == "http" and not on_this_machine(self.url.host or ""):
            raise ValueError("health data leave this machine by https only")
        if self.url.scheme == "https" and (self.tls is None or self.tls.cert is None):
            raise ValueError("tls.cert (ORG_AUTH_CLI) is needed: the DMP wants mutual TLS")
        if self.tls is not None and self.tls.cert == self.signature.cert:
            raise ValueError("tls.cert and signature.cert are two certificates: ORG_AUTH_CLI and ORG_SIGN")
        return self

    @model_validator(mode="after")
    def _who_acts_is_coherent(self) -> Self:
        if (self.mode is Mode.INDIRECT) != (self.profile is Profile.STRUCTURE):
            raise ValueError("profile ES goes with mode INDIRECTE, and the other profiles with the other modes")
        if self.mode is not Mode.DIRECT and not self.user.name:
            raise ValueError("user.name is needed in the indirect modes")
        if self.access is not Access.NORMAL and self.purpose == "normal":
            raise ValueError("say by purpose and purpose_label what this access is")
        return self

    def address(self, path: str) -> str:
        """Give the address of a service."""
        return f"{str(self.url).rstrip('/')}/{path.lstrip('/')}"

    def problems(self) -> tuple[str, ...]:
        """Say what is wrong with the two certificates."""
        try:
            signer = signer_of(self.signature.cert, self.signature.key, _secret(self.signature.key_password))
        except Unusable as problem:
            return (f"signature: {problem}",)
        found: list[str] = []
        if not (self.structure or signer.units):
            found.append("structure is needed: the signing certificate has no OU that says it")
        if self.tls is not None and self.tls.cert is not None:
            try:
                same = same_certificate(self.tls.cert, signer)
            except Unusable as problem:
                return (*found, f"tls: {problem}")
            if same:
                found.append("tls and signature are one certificate, or share a key: use ORG_AUTH_CLI and ORG_SIGN")
        return tuple(found)


class DmpDestinationSettings(DmpSettings):
    """Submits, replaces and deletes documents in the DMP."""

    max_document: ByteSize = Field(ByteSize(5 * MIB), ge=1024, description="Largest document sent.")
    existence: Literal["ask", "trust"] = Field(
        "ask", description="`ask`: TD0.2 before the first document of a patient; `trust`: the DMP will say."
    )
    existence_hours: float = Field(24.0, gt=0, le=720, description="Hours for which its answer is remembered.")
    sign_lots: bool = Field(True, description="Join the signature of the submission (mandatory in the DMP).")
    lot_algorithm: Literal["sha256", "sha1"] = Field("sha256", description="Digests and signature of the submission.")
    learn_entry: Literal["later", "now", "never"] = Field(
        "later",
        description="When the entryUUID and the logical id of a submission are looked up: `later`, `now` (right after "
        "it, which the DMP asks not to do: EX_3.1-2030), or `never`.",
    )
    learn_after_minutes: float = Field(
        720.0, ge=0, le=43_200, description="Minutes after a submission before they are looked up, where it is `later`."
    )


class DmpSourceSettings(DmpSettings):
    """Retrieves the documents that others deposited for the patients in coordination."""

    every: float = Field(3600.0, ge=10, description="Seconds between two rounds.")
    years: float = Field(2.0, gt=0, le=2, description="Years that the first search of a patient goes back (2 at most).")
    batch: int = Field(20, ge=1, le=100, description="Documents asked about at once.")
    masked: bool = Field(False, description="Whether documents masked to professionals are taken, where rights allow.")
    overlap_minutes: float = Field(10.0, ge=0, description="Minutes by which a search goes back before the last one.")
    per_minute: float = Field(120.0, gt=0, le=6000, description="Calls a minute at most.")
    max_document: ByteSize = Field(ByteSize(25 * MIB), ge=1024, description="Largest document taken.")


def _secret(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
