"""INSi, the national service that gives and verifies the INS (sections B1 to B6 of its interface description)."""

from connectors.ins.answers import CallTrace, CertifiedTraits, Found, NoAnswer, NotFound, Rejected, Reply, Several
from connectors.ins.client import InsiClient
from connectors.ins.comparison import Comparison, Likeness, compare
from connectors.ins.settings import InsiSettings
from connectors.ins.sought import Insufficient, Sought, sought_of
from connectors.ins.verifying import SearchVerifier, Verdict, Verification, Verifier

__all__ = [
    "CallTrace",
    "CertifiedTraits",
    "Comparison",
    "Found",
    "InsiClient",
    "InsiSettings",
    "Insufficient",
    "Likeness",
    "NoAnswer",
    "NotFound",
    "Rejected",
    "Reply",
    "SearchVerifier",
    "Several",
    "Sought",
    "Verdict",
    "Verification",
    "Verifier",
    "compare",
    "sought_of",
]
