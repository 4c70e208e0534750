"""What the sandbox's laboratory can measure: French labels and units, LOINC codes, adult reference ranges."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Analysis:
    """One analysis. `low` and `high` are the printed bounds, None where the laboratory prints none.

    `typical` and `spread` draw a believable value (mean and standard deviation); `decimals` is the printed precision;
    a value under `detection` is printed `< detection`.
    """

    code: str
    loinc: str
    label: str
    unit: str
    low: str | None
    high: str | None
    typical: float
    spread: float
    decimals: int
    detection: str | None = None

    def flag(self, value: Decimal) -> str:
        """Give the flag of table 0078 for a value: L, H, N, or empty when no bound is printed."""
        if self.low is None and self.high is None:
            return ""
        if self.low is not None and value < Decimal(self.low):
            return "L"
        if self.high is not None and value > Decimal(self.high):
            return "H"
        return "N"


@dataclass(frozen=True, slots=True)
class Panel:
    """A group of analyses that is ordered together; `section` is of HL7 table 0074, `sector` as a French lab prints."""

    code: str
    loinc: str
    title: str
    section: str
    sector: str
    analyses: tuple[Analysis, ...]


NFS = Panel(
    "NFS",
    "58410-2",
    "NUMERATION FORMULE SANGUINE",
    "HM",
    "HEMATOLOGIE",
    (
        Analysis("GB", "6690-2", "Leucocytes", "G/L", "4.00", "10.00", 7.2, 1.6, 2),
        Analysis("GR", "789-8", "Hématies", "T/L", "4.00", "5.40", 4.6, 0.4, 2),
        Analysis("HB", "718-7", "Hémoglobine", "g/dL", "12.0", "16.0", 12.9, 1.3, 1),
        Analysis("HT", "4544-3", "Hématocrite", "%", "35.0", "47.0", 39.5, 3.5, 1),
        Analysis("VGM", "787-2", "Volume globulaire moyen", "fL", "80.0", "100.0", 91.0, 5.0, 1),
        Analysis("TCMH", "785-6", "TCMH", "pg", "27.0", "32.0", 29.6, 1.6, 1),
        Analysis("CCMH", "786-4", "CCMH", "g/dL", "32.0", "36.0", 33.6, 0.9, 1),
        Analysis("PLQ", "777-3", "Plaquettes", "G/L", "150", "400", 255.0, 60.0, 0),
        Analysis("PNN", "751-8", "Polynucléaires neutrophiles", "G/L", "1.80", "7.50", 4.3, 1.4, 2),
        Analysis("LY", "731-0", "Lymphocytes", "G/L", "1.00", "4.00", 1.9, 0.6, 2),
        Analysis("MO", "742-7", "Monocytes", "G/L", "0.20", "1.00", 0.55, 0.15, 2),
    ),
)
IONOGRAM = Panel(
    "IONO",
    "24326-1",
    "IONOGRAMME SANGUIN",
    "CH",
    "BIOCHIMIE",
    (
        Analysis("NA", "2951-2", "Sodium", "mmol/L", "136", "145", 140.0, 3.0, 0),
        Analysis("K", "2823-3", "Potassium", "mmol/L", "3.5", "5.1", 4.2, 0.45, 1),
        Analysis("CL", "2075-0", "Chlorures", "mmol/L", "98", "107", 102.0, 3.0, 0),
        Analysis("BIC", "1963-8", "Bicarbonates", "mmol/L", "22", "29", 25.5, 2.0, 0),
        Analysis("PT", "2885-2", "Protéines totales", "g/L", "64", "83", 70.0, 5.0, 0),
    ),
)
KIDNEY = Panel(
    "RENAL",
    "24362-6",
    "FONCTION RENALE",
    "CH",
    "BIOCHIMIE",
    (
        Analysis("CREA", "14682-9", "Créatinine", "µmol/L", "45", "84", 82.0, 20.0, 0),
        Analysis("DFG", "62238-1", "DFG estimé (CKD-EPI)", "mL/min/1,73m²", "60", None, 66.0, 14.0, 0),
        Analysis("UREE", "22664-7", "Urée", "mmol/L", "2.5", "8.1", 7.0, 2.0, 1),
    ),
)
INFLAMMATION = Panel(
    "CRP",
    "1988-5",
    "PROTEINE C REACTIVE",
    "CH",
    "BIOCHIMIE",
    (Analysis("CRP", "1988-5", "Protéine C réactive", "mg/L", None, "5.0", 6.0, 9.0, 1, detection="0.6"),),
)
GLUCOSE = Panel(
    "GLY",
    "24331-1",
    "BILAN GLYCEMIQUE",
    "CH",
    "BIOCHIMIE",
    (
        Analysis("GLY", "14749-6", "Glucose", "mmol/L", "3.9", "6.1", 5.9, 1.1, 1),
        Analysis("A1C", "4548-4", "Hémoglobine A1c", "%", "4.0", "6.0", 6.1, 0.7, 1),
    ),
)
HEART = Panel(
    "BNP",
    "33762-6",
    "NT-PROBNP",
    "CH",
    "BIOCHIMIE",
    (Analysis("NTBNP", "33762-6", "NT-proBNP", "ng/L", None, "450", 520.0, 350.0, 0, detection="10"),),
)

PANELS = (NFS, IONOGRAM, KIDNEY, INFLAMMATION, GLUCOSE, HEART)
"""All of them, in the order in which a report prints them."""
