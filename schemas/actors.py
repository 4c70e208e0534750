"""People and organisations other than the patient."""

from __future__ import annotations

from schemas.base import Frozen
from schemas.coding import Coding, Identifier


class Telecom(Frozen):
    """A phone number, an e-mail or an MSSanté address: `kind` is phone, mobile, fax, email, mssante or other."""

    kind: str
    value: str
    use: str | None = None


class Address(Frozen):
    """A postal address. `country` is ISO 3166 alpha-3 or as sent; `insee` is the COG code of the commune."""

    lines: tuple[str, ...] = ()
    city: str | None = None
    postal_code: str | None = None
    country: str | None = None
    insee: str | None = None
    use: str | None = None


class Organization(Frozen):
    """A hospital, a laboratory, a unit: `identifiers`: FINESS (types FINEG, FINEJ), SIRET, IDNST or local."""

    name: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    address: Address | None = None
    telecoms: tuple[Telecom, ...] = ()


class Professional(Frozen):
    """A professional: `identifiers` carry RPPS (11 digits), ADELI (9) or local codes.

    `name` is the flat name when the sender did not split it. `organization` is where the person acts.
    """

    identifiers: tuple[Identifier, ...] = ()
    family_name: str | None = None
    given_name: str | None = None
    civility: str | None = None
    name: str | None = None
    specialty: Coding | None = None
    organization: Organization | None = None
    address: Address | None = None
    telecoms: tuple[Telecom, ...] = ()


class Recipient(Frozen):
    """Whom the sender wants to reach: a professional, an organisation, or an address alone; `role` as sent."""

    professional: Professional | None = None
    organization: Organization | None = None
    role: str | None = None


class Contact(Frozen):
    """A person around the patient (HL7v2 NK1): relation (table 0063), role (0131: C, K, N, P, R), telecoms."""

    identifiers: tuple[Identifier, ...] = ()
    family_name: str | None = None
    given_name: str | None = None
    relation: Coding | None = None
    role: Coding | None = None
    address: Address | None = None
    telecoms: tuple[Telecom, ...] = ()
