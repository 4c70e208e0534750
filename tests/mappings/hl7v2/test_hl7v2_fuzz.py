from __future__ import annotations

from hl7v2_messages import PID, message
from hypothesis import HealthCheck, given, settings, strategies as st

from mappings.contracts import FormatError, ReadContext
from mappings.hl7v2 import FORMAT
from mappings.hl7v2.positions import positions
from schemas.item import ITEM

ORU = message(
    PID,
    "PV1|1|I|||||||||||||||||V-5^^^CH^VN",
    "ORC|RE|D-1|F-1",
    "OBR|1|D-1^DPI|F-1^SGL|58410-2^NFS^LN|||20260105083000||||||||SANG&Sang&L|99^TESTEUR||||||20260105100000||HM|F|A&B&L^1^x|C^D||D-1^F-1|||B&N",
    r"NTE|1|L|un\.br\deux \T\ ",
    "OBX|1|NM|718-7^Hb^LN||13,2|g/dL|13 - 17|N|||F|||20260105083000|L^LABO|B^BIO|M^m^L||20260105091500",
    "OBX|2|SN|X^X^L|1|<^5^-^8|10^9/L|<5|H~L|||C",
    "OBX|3|CE|X^X^L||A^a^L~B^b^L|||||F",
    "OBX|4|ED|X^X^L||^application^pdf^Base64^JVBERi0xLjQ=||||||F",
    "SPM|1|S&A^T&B||SANG^Sang^L|||||||||||||20260105083000^20260105083100|20260105090000",
)
ADT = message(
    "EVN||20260105101500||||20260105101000",
    PID,
    "NK1|1|PROCHE^FICTIF|SPO^Conjoint|1 RUE^^VILLE|^PRN^PH^^^^^^^^^01||K^K",
    "PV1|1|I|4036^22^3^CH&990000001&M^O|R|||1^DOC^X|||||||||||V-5^^^CH^VN",
    "ZBE|M1^GAM^990000001^M|20260105093000||INSERT|N||C^^^^^CH&990000001&M^UF^^^4036||HMS",
    "ZFD|||Y|N|INSI|20260101",
    "MRG|IPP-9^^^CH^PI||NDA-9",
    kind="ADT^A01",
)
MDM = message(
    "EVN||20260105",
    PID,
    "ORC|NW",
    "OBR|1|||18748-4^CR^LN",
    "TXA|1|18748-4|TEXT|202601050930||||1^A^B|||1.2.3|1.2.2||||AU|R||||2^C^D",
    "OBX|1|ED|18748-4^CR^LN||^text^XML^Base64^PGEvPg==||||||F",
    "PRT||UC||RCT|1^A^B^^^^^^&1.2.3&ISO||||||||||^^X.400^a@exemple.invalid",
    "OBX|2|CWE|DESTDMP^x^MetaDMPMSS||Y||||||F",
    kind="MDM^T02",
)
MESSAGES = st.sampled_from([ORU, ADT, MDM])
TOKENS = st.sampled_from(
    b'| ^ ~ & \\ "" MSH| OBX| \\X \\.br\\ < - 99999999999999 T11 A40 A24 Z99 NM ED == \xff \xc3\xa9'.split()
) | st.sampled_from([b"\r", b"\n", b"\x00", b"\x0b", b"\x1c", b"\rZZZ|", b" "])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    content = draw(MESSAGES)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(content)))
        end = min(len(content), at + draw(st.integers(0, 12)))
        content = content[:at] + draw(TOKENS | st.binary(max_size=4)) + content[end:]
    return content


@settings(deadline=None, max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_mutated_messages_raise_nothing_but_format_errors(content: bytes) -> None:
    try:
        found = FORMAT.read(content, ReadContext())
    except FormatError:
        return
    for item in found.items:
        assert ITEM.validate_json(ITEM.dump_json(item)) == item


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_every_position_of_a_mutated_message_can_itself_be_changed(content: bytes) -> None:
    for span in positions(content)[::7]:
        changed = content[: span.start] + b"~" + content[span.end :]
        try:
            FORMAT.read(changed, ReadContext())
        except FormatError:
            continue


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_mutated_messages_can_be_shown(content: bytes) -> None:
    try:
        shown = FORMAT.pieces(content)
    except FormatError:
        return
    assert shown
    assert shown[0].name == "Message header"


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_raise_nothing_but_format_errors(content: bytes) -> None:
    assert 0.0 <= FORMAT.sniff(content) <= 1.0
    assert isinstance(FORMAT.positions(content), list)
    try:
        FORMAT.read(content, ReadContext())
        FORMAT.pieces(content)
    except FormatError as error:
        refusal = error.code
    else:
        refusal = "hl7v2.header.no_msh"
    assert refusal == "hl7v2.header.no_msh"
