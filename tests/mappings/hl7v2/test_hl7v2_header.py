from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from mappings.contracts import Environment
from mappings.hl7v2.ack import build_ack, read_ack
from mappings.hl7v2.header import AckCode, check_header
from schemas.finding import Finding, Severity

NOW = datetime(2026, 1, 5, 10, 15, 0, tzinfo=timezone(timedelta(hours=1)))


def msh(**fields: str) -> bytes:
    values = {
        "3": "SGL-FICTIF",
        "4": "CH-FICTIF",
        "5": "PASSERELLE",
        "6": "SITE-FICTIF",
        "7": "20260105101500",
        "9": "ORU^R01^ORU_R01",
        "10": "LAB-0001",
        "11": "P",
        "12": "2.5",
        "17": "FRA",
        "18": "UNICODE UTF-8",
    } | {name.removeprefix("f"): value for name, value in fields.items()}
    last = max(int(number) for number in values)
    return ("MSH|^~\\&|" + "|".join(values.get(str(n), "") for n in range(3, last + 1)) + "\rPID|1\r").encode()


def test_header_of_a_sound_message_is_accepted_in_original_mode() -> None:
    header = check_header(msh())
    assert header.refusal is None
    assert (header.control_id, header.message_type, header.event) == ("LAB-0001", "ORU^R01", "R01")
    assert (header.sending_application, header.sending_facility) == ("SGL-FICTIF", "CH-FICTIF")
    assert (header.version, header.processing_id, header.charset) == ("2.5", "P", "UNICODE UTF-8")
    assert not header.enhanced
    assert not header.wants_accept
    assert header.wants_application
    assert header.answer(accepted=True) is AckCode.AA
    assert header.answer(accepted=False) is AckCode.AE
    assert header.answer(accepted=False, permanent=False) is AckCode.AR


@pytest.mark.parametrize(
    ("accept", "application", "good", "bad"),
    [
        ("AL", "NE", AckCode.CA, AckCode.CE),
        ("AL", "AL", AckCode.CA, AckCode.CE),
        ("ER", "", None, AckCode.CE),
        ("SU", "", AckCode.CA, None),
        ("NE", "AL", AckCode.AA, AckCode.AE),
        ("", "ER", None, AckCode.AE),
        ("NE", "NE", None, None),
    ],
)
def test_enhanced_mode_answers_as_msh_15_and_16_ask(
    accept: str, application: str, good: AckCode | None, bad: AckCode | None
) -> None:
    header = check_header(msh(f15=accept, f16=application))
    assert header.enhanced
    assert header.answer(accepted=True) is good
    assert header.answer(accepted=False) is bad


@pytest.mark.parametrize(
    ("content", "error", "where"),
    [
        (b"", 100, "MSH"),
        (b"PID|1||X\r", 100, "MSH"),
        (b"\x00" * 5000, 100, "MSH"),
        (b"MSH|^~\\&\r", 101, "MSH-9"),
        (msh(f10=""), 101, "MSH-10"),
        (msh(f10="  "), 101, "MSH-10"),
        (msh(f9="SIU^S12"), 200, "MSH-9.1"),
        (msh(f9="ADT^A99"), 201, "MSH-9.2"),
        (msh(f9=""), 101, "MSH-9"),
        (msh(f12="3.0"), 203, "MSH-12"),
    ],
)
def test_what_will_never_work_is_refused_for_good(content: bytes, error: int, where: str) -> None:
    header = check_header(content)
    assert header.refusal is not None
    assert header.permanent
    assert (header.error_code, header.refusal.where) == (error, where)


@pytest.mark.parametrize(
    ("processing_id", "environment", "error"),
    [
        ("P", Environment.PRODUCTION, 0),
        ("T", Environment.PRODUCTION, 202),
        ("D", Environment.PRODUCTION, 202),
        ("P", Environment.TEST, 202),
        ("T", Environment.TEST, 0),
        ("T", None, 0),
    ],
)
def test_test_and_production_do_not_mix(processing_id: str, environment: Environment | None, error: int) -> None:
    assert check_header(msh(f11=processing_id), environment).error_code == error


@pytest.mark.parametrize(
    "dressed",
    [
        b"\xef\xbb\xbf" + msh(),
        b"\x0b" + msh() + b"\x1c\r",
        b"\r\n  " + msh(),
        b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + msh(),
        msh().replace(b"\r", b"\n"),
        msh().replace(b"\r", b"\r\n"),
        msh().decode().encode("utf-16"),
        msh().decode().encode("utf-16-le"),
        msh(f12="2.5^FRA^2.11"),
        msh(f9="ORU_R01"),
        msh(f9="ORU^R01"),
    ],
)
def test_header_is_found_under_every_dressing(dressed: bytes) -> None:
    header = check_header(dressed)
    assert header.refusal is None
    assert (header.control_id, header.message_type) == ("LAB-0001", "ORU^R01")


def test_event_of_an_old_adt_comes_from_evn() -> None:
    content = b"MSH|^~\\&|A|B|C|D|20260105||ADT|1|P|2.2\rEVN|A01|20260105\r"
    assert check_header(content).message_type == "ADT^A01"


def test_positive_answer_swaps_the_parties_and_copies_version_and_mode() -> None:
    answer = build_ack(check_header(msh(f12="2.5^FRA^2.11")), AckCode.AA, now=NOW, control_id="ACK-1")
    assert answer == (
        b"MSH|^~\\&|PASSERELLE|SITE-FICTIF|SGL-FICTIF|CH-FICTIF|20260105101500+0100||ACK^R01^ACK|ACK-1|P"
        b"|2.5^FRA^2.11|||||FRA|UNICODE UTF-8\rMSA|AA|LAB-0001\r"
    )


def test_refusal_of_the_header_is_told_in_err() -> None:
    header = check_header(msh(f12="3.0"))
    answer = build_ack(header, AckCode.AE, now=NOW, control_id="ACK-2")
    assert answer == (
        b"MSH|^~\\&|PASSERELLE|SITE-FICTIF|SGL-FICTIF|CH-FICTIF|20260105101500+0100||ACK^R01^ACK|ACK-2|P|2.5"
        b"|||||FRA|UNICODE UTF-8\rMSA|AE|LAB-0001\r"
        b"ERR||MSH^1^12|203^Unsupported version id^HL70357|E|hl7v2.header.version^^99PASSERELLE"
        b"|||this version of HL7 is not known\r"
    )


def test_finding_of_a_later_step_names_its_place_in_err_2() -> None:
    finding = Finding(severity=Severity.ERROR, code="hl7v2.zbe.shifted", where="ZBE[2]-4", message="shifted")
    answer = build_ack(check_header(msh()), AckCode.AE, now=NOW, control_id="A", finding=finding, error_code=102)
    assert b"\rERR||ZBE^2^4|102^Data type error^HL70357|E|hl7v2.zbe.shifted^^99PASSERELLE|||shifted\r" in answer
    nested = finding.model_copy(update={"where": "OBX-5.5"})
    answer = build_ack(check_header(msh()), AckCode.AE, now=NOW, control_id="A", finding=nested, error_code=102)
    assert b"\rERR||OBX^1^5^1^5|102^" in answer


def test_not_now_without_a_finding_still_has_its_err() -> None:
    answer = build_ack(check_header(msh()), AckCode.AR, now=NOW, control_id="A", error_code=206)
    assert answer.endswith(b"\rMSA|AR|LAB-0001\rERR|||206^Application record locked^HL70357|E\r")


def test_versions_before_2_5_get_the_old_error_location() -> None:
    answer = build_ack(check_header(msh(f9="ADT^A99", f12="2.3")), AckCode.AE, now=NOW, control_id="A")
    assert answer.endswith(
        b"\rMSA|AE|LAB-0001|this trigger event is not supported\rERR|MSH^1^9^201&Unsupported event code&HL70357\r"
    )


def test_garbage_gets_a_minimal_legal_answer() -> None:
    answer = build_ack(check_header(b"\xff\xfegarbage"), AckCode.AE, now=NOW, control_id="A")
    assert answer.startswith(
        b"MSH|^~\\&|||||20260105101500+0100||ACK|A|P|2.5|||||FRA|UNICODE UTF-8\rMSA|AE|\rERR||MSH^1|100^"
    )


def test_odd_delimiters_and_verbatim_control_id_are_answered_in_kind() -> None:
    content = b"MSH#*!?%#SGL#CH#X#Y#20260105##ORU*R01#D|1 #T#2.5\r"
    answer = build_ack(check_header(content), AckCode.AA, now=NOW, control_id="A")
    assert answer.startswith(b"MSH#*!?%#X#Y#SGL#CH#")
    assert answer.endswith(b"\rMSA#AA#D|1 \r")
    reading = read_ack(answer)
    assert reading is not None
    assert reading.control_id == "D|1 "


@pytest.mark.parametrize("charset", ["8859/1", "8859/15", "", "UNICODE UTF-8"])
def test_bytes_of_the_sender_come_back_as_they_were(charset: str) -> None:
    name = "CH-ÉTOILÉ".encode("utf-8" if "UTF" in charset else "iso8859-15")
    content = b"MSH|^~\\&|SGL|" + name + b"|P|C|2026||ORU^R01|1|P|2.5||||||" + charset.encode() + b"\r"
    assert b"|SGL|" + name + b"|2026" in build_ack(check_header(content), AckCode.AA, now=NOW, control_id="A")


@pytest.mark.parametrize(
    ("answer", "code", "control_id", "errors", "permanent"),
    [
        (b"MSH|^~\\&|A|B|C|D|2026||ACK^R01^ACK|9|P|2.5\rMSA|AA|X-1\r", AckCode.AA, "X-1", (), False),
        (b"\x0bMSH|^~\\&|A\nMSA|CA|X-1\n\x1c\r", AckCode.CA, "X-1", (), False),
        (b"MSH|^~\\&|A\rMSA| AE |X-1|no\rERR|||207^ Application error|E\r", AckCode.AE, "X-1", (207,), True),
        (b"MSH|^~\\&|A\rMSA|AR|X-1\rERR||PID^1^3| 203^ Unsupported version| E\r", AckCode.AR, "X-1", (203,), True),
        (b"MSH|^~\\&|A\rMSA|AR|X-1\rERR|||206^locked\r", AckCode.AR, "X-1", (206,), False),
        (b"MSH|^~\\&|A\rMSA|CR|X-1\r", AckCode.CR, "X-1", (), False),
        (b"MSH|^~\\&|A\rMSA|OK|X-1\r", AckCode.AE, "X-1", (), True),
        (b"MSH|^~\\&|A\rMSA|AE|X-1\rERR|PID^1^3^101&required\r", AckCode.AE, "X-1", (101,), True),
        (b"MSA|AA| X-1 \r", AckCode.AA, " X-1 ", (), False),
    ],
)
def test_answers_of_peers_are_read_with_their_quirks(
    answer: bytes, code: AckCode, control_id: str, errors: tuple[int, ...], permanent: bool
) -> None:
    reading = read_ack(answer)
    assert reading is not None
    assert (reading.code, reading.control_id, reading.error_codes) == (code, control_id, errors)
    assert reading.permanent is permanent
    assert reading.positive is code.positive


@pytest.mark.parametrize("noise", [b"", b"\x06", b"garbage", b"MSH|^~\\&|A|B\r", b"MSAX"])
def test_what_is_no_answer_is_none(noise: bytes) -> None:
    reading = read_ack(noise)
    assert reading is None or reading.code is AckCode.AE


@settings(deadline=None)
@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda tail: b"MSH|^~\\&|A|B|C|D|2026||" + tail))
def test_any_bytes_get_a_header_and_a_readable_answer(content: bytes) -> None:
    header = check_header(content)
    code = AckCode.AA if header.refusal is None else AckCode.AE
    reading = read_ack(build_ack(header, code, now=NOW, control_id="A"))
    assert reading is not None
    assert reading.code is code


@pytest.mark.shared_data
def test_own_acknowledgements_are_read(shared_data: Path) -> None:
    folder = shared_data / "hl7v2" / "own-examples"
    accepted = read_ack((folder / "ack_aa.hl7").read_bytes())
    refused = read_ack((folder / "ack_ae_902.hl7").read_bytes())
    assert accepted is not None
    assert (accepted.code, accepted.control_id) == (AckCode.AA, "LAB-0001")
    assert refused is not None
    assert (refused.code, refused.control_id, refused.error_codes) == (AckCode.AE, "DOC-T02", (207,))
