"""The sections `[web.oidc.NAME]`: providers through which people sign in to the dashboard."""

from __future__ import annotations

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

RoleName = Literal["administrator", "operator", "identity_officer", "referent", "auditor", "read_only"]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Signatures that may be allowed: none of them is symmetric, and `none` is none of them."""


class OidcSection(BaseModel):
    """An OpenID provider (Keycloak, Pro Santé Connect…): who signs in there, and as what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1, max_length=60, description="What the button of the sign-in page says.")
    issuer: str = Field(description="Issuer, exactly as its metadata and tokens write it.")
    metadata: str = Field(
        "", description="Address of its metadata. Empty: the issuer's `/.well-known/openid-configuration`."
    )
    client_id: str = Field(min_length=1, description="Name of this router at the provider.")
    authentication: Literal["client_secret_basic", "client_secret_post", "private_key_jwt"] = Field(
        "client_secret_basic", description="How this router proves who it is at the token endpoint."
    )
    client_secret: SecretStr | None = Field(None, description="Its secret, for `client_secret_*`.")
    client_key: str = Field(
        "", description="PEM file of its private key, for `private_key_jwt`, relative to this file."
    )
    client_key_id: str = Field("", description="`kid` under which the provider knows the public key, if it wants one.")
    scope: tuple[str, ...] = Field(("openid", "profile"), description="Scopes that are asked for.")
    acr_values: tuple[str, ...] = Field(
        (), description="Strengths of authentication that are asked for, and one of which the token must state."
    )
    acr_optional: bool = Field(
        False, description="Whether a token passes that states no strength at all; another strength never does."
    )
    algorithms: tuple[Algorithm, ...] = Field(
        ("RS256", "PS256", "ES256"), min_length=1, description="Signatures that are taken."
    )
    userinfo: bool = Field(True, description="Whether the userinfo endpoint is asked for more claims.")
    name_claim: str = Field("preferred_username", description="Claim that names the account in lists and in the audit.")
    role_claim: str = Field(
        "groups",
        description="Claim that decides the role, a text or a list; dots lead inward (`realm_access.roles`).",
    )
    roles: dict[str, RoleName] = Field(
        min_length=1,
        description='What a value of that claim gives: `{ passerelle-ops = "operator" }`. The first row that fits '
        "holds; whoever none fits is refused.",
    )
    redirect_uri: str = Field(
        "",
        description="Address that the provider leads back to, as it is registered there. Empty: "
        "`/login/oidc/NAME/callback` at the address that the browser came by.",
    )
    authorities: str = Field(
        "",
        description="PEM file of the authorities of the provider's certificate, relative to this file. Empty: usual.",
    )
    max_age: int | None = Field(
        None, ge=0, description="Seconds since the last true authentication that are accepted. Unset: any."
    )

    @field_validator("issuer", "metadata", "redirect_uri")
    @classmethod
    def _is_safe(cls, address: str) -> str:
        parts = urlsplit(address)
        loopback = parts.hostname in {"127.0.0.1", "localhost", "::1"}
        if address and not (parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and loopback))):
            raise ValueError("must be an https address (http on this machine only)")
        return address

    @field_validator("scope")
    @classmethod
    def _has_openid(cls, scope: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in scope:
            raise ValueError("must hold `openid`")
        return scope

    @model_validator(mode="after")
    def _can_authenticate(self) -> Self:
        if self.authentication == "private_key_jwt":
            if not self.client_key:
                raise ValueError("private_key_jwt needs client_key")
        elif self.client_secret is None:
            raise ValueError(f"{self.authentication} needs client_secret")
        return self
