"""What the hospital and the laboratory send about Mme FICTIVE-ROSE, one segment a line (IHE PAM France, CI-SIS)."""

from __future__ import annotations

from rose_scene import INS, TEST_NIR

PID = (
    "PID|||{ipp}^^^CH_FICTIF&2.999.67.1&ISO^PI~{ins}^^^ASIP-SANTE-INS-NIR&{oid}&ISO^INS||"
    "{name}^Mireille^Mireille Testa^^^^L||19790305|F|||1 rue du Test^^Strasbourg^^67000^FRA^H~^^^^^^BDL^^35238"
    "|||||||||||||||||||||VALI"
)
STRUCTURES = {"A01": "ADT_A01", "A03": "ADT_A03", "A08": "ADT_A01", "A11": "ADT_A09"}


def pid(ipp: str = "IPP-ROSE-1", name: str = "FICTIVE-ROSE", ins: str = INS) -> str:
    """Her PID segment."""
    return PID.format(ipp=ipp, name=name, ins=ins, oid=TEST_NIR)


def medecin(name: str = "FICTIVE-ROSE") -> bytes:
    """Her results as HPRIM Médecin, a file that a laboratory attaches to a mail."""
    header = (
        "T0001",
        name,
        "Mireille",
        "1 rue du Test",
        "",
        "67000 STRASBOURG",
        "05/03/1979",
        f"{INS[:13]} {INS[13:]}",
        "FICT001",
        "05/03/2026",
        "LABFIC     LABORATOIRE FICTIF",
        "DRTEST     DR TESTEUR",
    )
    coded = ("****LAB****", "RES|Potassium|K|A|4.1|mmol/L|3.5|5.1||||F|||")
    end = ("****FIN****", "****FINFICHIER****", "")
    return "\r\n".join([*header, "Résultats du jour", *coded, *end]).encode("cp1252")


def joined(*lines: str) -> str:
    """One message."""
    return "\r".join(lines) + "\r"


def adt(
    event: str = "A01",
    control: str = "MSG0000001",
    *,
    at: str = "20260305094100+0100",
    visit: str = "VEN-0001",
    patient_class: str = "E",
    movement: str = "MVT-0001",
    left: str = "",
    **who: str,
) -> str:
    """A movement of a stay: `at` is when it happened, `left` PV1-45 (discharge)."""
    sent = at[:12] + "05" + at[14:]
    place = f"URG^^^CH_FICTIF&670000000&FINEG{'|' * 16}{visit}^^^CH_FICTIF&2.999.67.2&ISO^VN{'|' * 25}"
    began = "20260305094100+0100"
    return joined(
        f"MSH|^~\\&|DPI_TEST|CH_FICTIF|PASSERELLE|REGION_TEST|{sent}||ADT^{event}^{STRUCTURES[event]}|{control}|D|"
        "2.5^FRA^2.10|||||FRA|UNICODE UTF-8",
        f"EVN||{sent}||||{at}",
        pid(**who),
        f"PV1|1|{patient_class}|{place}{began}|{left}",
        f"ZBE|{movement}^CH_FICTIF^2.999.67.3^ISO|{at}||{'UPDATE' if event == 'A08' else 'INSERT'}|N||"
        "^^^^^^UF^^^0001||HMS",
    )


def oru(
    control: str, *observations: str, order: str = "F-0001", status: str = "F", prescriber: str = "", **who: str
) -> str:
    """A laboratory report; observations are OBX from OBX-2 on."""
    ordered = f"OBR|1||{order}^LABO_FICTIF|BIO^Ionogramme^L|||20260305080000+0100|||||||||{prescriber}|||||||||{status}"
    return joined(
        f"MSH|^~\\&|SGL_TEST|LABO_FICTIF|PASSERELLE|REGION_TEST|20260305100000+0100||ORU^R01^ORU_R01|{control}|D|"
        "2.5|||||FRA|UNICODE UTF-8",
        pid(**who),
        ordered,
        *(f"OBX|{rank}|{one}" for rank, one in enumerate(observations, 1)),
    )
