"""The client against the sandbox: every reply and trouble, storms, mutual TLS, traces."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from pydantic import ValidationError

from connectors.certificates import Certificate, CertificateTrouble, read_certificate
from connectors.ins.answers import CallTrace, Found, NoAnswer, NotFound, Rejected, Several
from connectors.ins.client import MOST_CALLS, InsiClient
from connectors.ins.comparison import compare
from connectors.ins.sandbox import InsiSandbox, Mood
from connectors.ins.settings import InsiSettings
from connectors.ins.sought import Sought, sought_of
from connectors.ins.verifying import SearchVerifier, Verdict
from connectors.sandbox.people import INS_TEST_OID, ROSE, population
from schemas.identity import Ins, PatientIdentity, Sex

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Time:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


@dataclass
class Bench:
    """A client, its sandbox, its clock and its traces."""

    sandbox: InsiSandbox
    client: InsiClient
    time: Time
    traces: list[CallTrace] = field(default_factory=list)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with InsiSandbox(population(20)) as sandbox:
        made = make(sandbox)
        yield made
        await made.client.close()


def make(sandbox: InsiSandbox, **changes: object) -> Bench:
    traces: list[CallTrace] = []
    time = Time()
    values = {"url": sandbox.url, "authorisation": "TEST-1", "emitter": "10B0000000", "per_minute": 6000, **changes}
    client = InsiClient(
        InsiSettings.model_validate(values), now=lambda: NOW, traced=traces.append, clock=time, sleep=time.sleep
    )
    return Bench(sandbox, client, time, traces)


def who(name: str, given: str, sex: str, born: str, place: str | None = None) -> Sought:
    sought = sought_of(
        PatientIdentity(
            birth_name=name,
            birth_given_names=tuple(given.split()),
            sex=Sex(sex),
            birth_date=born,
            birth_place=place,
        )
    )
    assert isinstance(sought, Sought)
    return sought


ADRUN = who("Adrun", "Zoé", "F", "1975-12-31")
HOUILLES = who("HOUILLES", "PIERRE PAUL JACQUES", "M", "1993-01-27")


async def test_a_person_is_found(bench: Bench) -> None:
    found = await bench.client.search(ADRUN)
    assert isinstance(found, Found)
    assert found.current.ins == Ins(matricule="275126322074974", oid="1.2.250.1.213.1.4.8")
    assert bench.sandbox.calls == 1
    [trace] = bench.traces
    assert (trace.attempt, trace.status, trace.code) == (1, 200, "00")
    assert trace.started_at == NOW


async def test_the_sandbox_knows_the_people_of_the_other_sandboxes(bench: Bench) -> None:
    born = ROSE.birth_date.isoformat()
    found = await bench.client.search(who(ROSE.birth_name, " ".join(ROSE.birth_given_names), ROSE.sex, born))
    assert isinstance(found, Found)
    assert found.current.ins == Ins(matricule=ROSE.matricule, oid=INS_TEST_OID)


@pytest.mark.parametrize(
    ("sought", "calls", "matricule"),
    [
        (who("ECETINSI", "Pierre-Alain", "M", "2009-07-14"), 1, "109076322083489"),
        (who("ADRTROIS", "TOUSSAINT", "M", "1960-01-01", "2B020"), 1, "160012B02077713"),
        (who("TCHITCHI", "OLA CATARINA BELLA", "F", "1936-06-21"), 2, "236066322085656"),
        (who("TESTJUMEAU", "LOUIS GILBERT", "M", "1940-02-29"), 2, "140022901900064"),
        (who("TESTJUMEAU", "LOUIS", "M", "1940-02-29", "35238"), 2, "140023523800025"),
        (who("TESTPROVISOIRE", "AMINA", "F", "1990-04-00"), 1, "290049935200072"),
    ],
)
async def test_quirks_of_the_qualification_platform(bench: Bench, sought: Sought, calls: int, matricule: str) -> None:
    found = await bench.client.search(sought)
    assert isinstance(found, Found)
    assert found.current.ins.matricule == matricule
    assert bench.sandbox.calls == calls


async def test_the_current_matricule_repeated_in_the_history_is_no_history(bench: Bench) -> None:
    found = await bench.client.search(who("CORSE", "ANTHONY", "M", "1980-03-02"))
    assert isinstance(found, Found)
    assert found.history == ()


async def test_nobody_and_several(bench: Bench) -> None:
    assert isinstance(await bench.client.search(HOUILLES), NotFound)
    assert bench.sandbox.calls == 4
    assert isinstance(await bench.client.search(who("TESTJUMEAU", "LOUIS", "M", "1940-02-29")), Several)


async def test_a_different_person_never_agrees(bench: Bench) -> None:
    bench.sandbox.mood = Mood.STRANGER
    found = await bench.client.search(ADRUN)
    assert isinstance(found, Found)
    ours = PatientIdentity(birth_name="ADRUN", first_given_name="ZOE", sex=Sex.FEMALE, birth_date="1975-12-31")
    assert not compare(ours, found.traits).agrees
    held = ours.model_copy(update={"ins": Ins(matricule="275126322074974", oid="1.2.250.1.213.1.4.8")})
    verified = await SearchVerifier(bench.client).verify(held)
    assert (verified.verdict, verified.code) == (Verdict.KO, "insi.ins.other")


@pytest.mark.parametrize(
    ("mood", "kind", "code", "calls"),
    [
        (Mood.TECHNICAL, NoAnswer, "insi_102", 3),
        (Mood.HTML, NoAnswer, "insi.reply.not_soap", 3),
        (Mood.DOWN, NoAnswer, "insi.broken", 3),
        (Mood.BUSY, NoAnswer, "insi.busy", 1),
        (Mood.FORBIDDEN, Rejected, "http.403", 1),
        (Mood.UNKNOWN_SOFTWARE, Rejected, "desir_550", 1),
        (Mood.NO_RIGHTS, Rejected, "desir_560", 1),
    ],
)
async def test_troubles(bench: Bench, mood: Mood, kind: type, code: str, calls: int) -> None:
    bench.sandbox.mood = mood
    answered = await bench.client.search(HOUILLES)
    assert isinstance(answered, kind)
    assert answered.code == code
    assert bench.sandbox.calls == calls
    assert [trace.code for trace in bench.traces] == [code] * calls


async def test_a_trouble_that_passes_is_tried_again(bench: Bench) -> None:
    bench.sandbox.moods = [Mood.TECHNICAL, Mood.HTML]
    assert isinstance(await bench.client.search(ADRUN), Found)
    assert [trace.code for trace in bench.traces] == ["insi_102", "insi.reply.not_soap", "00"]
    assert [trace.attempt for trace in bench.traces] == [1, 2, 3]
    assert bench.time.at > 2, "it waits before it tries again"


async def test_calls_for_one_person_are_bounded(bench: Bench) -> None:
    bench.sandbox.moods = [Mood.TECHNICAL, Mood.TECHNICAL, Mood.WELL] * 10
    await bench.client.search(who("TESTPERSONNE", "ROSE MARIE ANNE LOUISE", "F", "1938-05-12", "35238"))
    assert bench.sandbox.calls <= MOST_CALLS


async def test_a_crowd_makes_no_storm_when_insi_is_down(bench: Bench) -> None:
    bench.sandbox.mood = Mood.TECHNICAL
    answers = await asyncio.gather(*(bench.client.search(ADRUN) for _ in range(50)))
    assert all(isinstance(one, NoAnswer) for one in answers)
    assert bench.sandbox.calls <= 8, "five troubles open the breaker; three more calls may have been under way"
    before = bench.sandbox.calls
    for _ in range(100):
        left = await bench.client.search(ADRUN)
        assert isinstance(left, NoAnswer)
        assert left.code == "insi.left_alone"
        assert left.after is not None
    assert bench.sandbox.calls == before
    bench.time.at += 61
    assert isinstance(await bench.client.search(ADRUN), NoAnswer)
    assert bench.sandbox.calls == before + 1, "one call tries"
    bench.time.at += 61
    bench.sandbox.mood = Mood.WELL
    assert isinstance(await bench.client.search(ADRUN), Found)


async def test_an_unknown_software_is_said_once_and_no_more_asked(bench: Bench) -> None:
    bench.sandbox.mood = Mood.UNKNOWN_SOFTWARE
    for _ in range(20):
        await bench.client.search(ADRUN)
    assert bench.sandbox.calls == 1


async def test_nobody_listening() -> None:
    async with InsiSandbox() as sandbox:
        bench = make(sandbox)
    answered = await bench.client.search(ADRUN)
    assert isinstance(answered, NoAnswer)
    assert answered.code == "insi.unreachable"
    assert len(bench.traces) == 3
    await bench.client.close()


async def test_slowness_ends_by_the_time_out() -> None:
    async with InsiSandbox() as sandbox:
        sandbox.mood = Mood.SLOW
        bench = make(sandbox, timeout=0.05, attempts=2)
        answered = await bench.client.search(ADRUN)
        assert isinstance(answered, NoAnswer)
        assert answered.code == "insi.timeout"
        assert sandbox.calls == 2
        await bench.client.close()


async def test_calls_are_throttled() -> None:
    async with InsiSandbox() as sandbox:
        bench = make(sandbox, per_minute=6, patience=15)
        assert (await bench.client.search(ADRUN)).code == "00"
        assert (await bench.client.search(ADRUN)).code == "00"
        assert bench.time.at == 10, "it waited for its turn"
        bench.time.at = 0
        assert (await bench.client.search(ADRUN)).code == "insi.throttled"
        assert sandbox.calls == 2
        await bench.client.close()


async def test_nothing_of_the_person_is_traced_or_said(bench: Bench) -> None:
    for mood in Mood:
        if mood is not Mood.SLOW:
            bench.sandbox.mood = mood
            bench.time.at += 100
            answered = await bench.client.search(ADRUN)
            for text in (str(getattr(answered, "detail", "")), *map(str, bench.traces)):
                assert not any(word in text.upper() for word in ("ADRUN", "ZOE", "1975", "27512"))


async def test_the_sandbox_refuses_an_unknown_authorisation() -> None:
    async with InsiSandbox(authorisations=frozenset({"KNOWN"})) as sandbox:
        for number, code in (("KNOWN", "00"), ("OTHER", "desir_550")):
            bench = make(sandbox, authorisation=number)
            assert (await bench.client.search(ADRUN)).code == code
            await bench.client.close()


@pytest.mark.shared_data
async def test_the_sandbox_validates_requests_by_the_public_schemas(shared_data: Path) -> None:
    async with InsiSandbox(population(5), schemas=shared_data / "ins" / "insi" / "wsdl") as sandbox:
        bench = make(sandbox)
        for sought in (ADRUN, HOUILLES, who("D'AEION", "COEUR", "M", "1987-01-25")):
            await bench.client.search(sought)
        assert sandbox.asked
        assert sandbox.violations == []
        await bench.client.close()


async def test_a_caller_without_an_identifier_sends_nothing() -> None:
    async with InsiSandbox() as sandbox:
        bench = make(sandbox, emitter=None)
        assert (await bench.client.search(ADRUN)).code == "insi.emitter"
        assert sandbox.calls == 0


async def test_an_assertion_that_cannot_be_read_sends_nothing(tmp_path: Path) -> None:
    async with InsiSandbox() as sandbox:
        path = tmp_path / "assertion.xml"
        bench = make(sandbox, assertion=path)
        assert (await bench.client.search(ADRUN)).code == "insi.assertion.file"
        path.write_text("<other/>")
        assert (await bench.client.search(ADRUN)).code == "insi.assertion.other"
        path.write_text('<a:Assertion xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion"/>')
        assert (await bench.client.search(ADRUN)).code == "00"
        assert sandbox.calls == 1
        await bench.client.close()


# --- mutual TLS -------------------------------------------------------------------------------------------------


@dataclass
class Keys:
    """Files of a throw-away authority."""

    folder: Path
    authority: trustme.CA

    def client(self, name: str = "INSI-AUTO", unit: str = "10B0000000", **validity: datetime) -> Path:
        issued = self.authority.issue_cert(
            common_name=name,
            organization_name="CH FICTIF",
            organization_unit_name=unit,
            **validity,  # type: ignore[arg-type]  # trustme names each one
        )
        path = self.folder / f"{name}.pem"
        issued.private_key_and_cert_chain_pem.write_to_path(str(path))
        return path

    def settings(self, certificate: Path) -> dict[str, object]:
        return {"certificate": certificate, "ca": self.folder / "ca.pem", "emitter": None}


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return Keys(tmp_path, authority)


@pytest.fixture
def server(keys: Keys) -> Callable[[], ssl.SSLContext]:
    def make_context() -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        keys.authority.issue_cert("127.0.0.1").configure_cert(context)
        keys.authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    return make_context


async def test_mutual_tls(keys: Keys, server: Callable[[], ssl.SSLContext]) -> None:
    async with InsiSandbox(tls=server()) as sandbox:
        known = make(sandbox, **keys.settings(keys.client()))
        assert (await known.client.search(ADRUN)).code == "00"
        await known.client.close()
        without_rights = make(sandbox, **keys.settings(keys.client("INSI-OTHER")))
        assert (await without_rights.client.search(ADRUN)).code == "desir_560"
        await without_rights.client.close()


async def test_a_certificate_that_the_service_does_not_know(
    tmp_path: Path, keys: Keys, server: Callable[[], ssl.SSLContext]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stranger = Keys(other, trustme.CA())
    async with InsiSandbox(tls=server()) as sandbox:
        bench = make(sandbox, **{**keys.settings(stranger.client()), "attempts": 1})
        answered = await bench.client.search(ADRUN)
        assert isinstance(answered, NoAnswer)
        assert answered.code in {"insi.tls", "insi.broken"}
        assert sandbox.calls == 0
        await bench.client.close()


async def test_a_server_that_our_authority_did_not_sign_gets_nothing(
    tmp_path: Path, keys: Keys, server: Callable[[], ssl.SSLContext]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    trustme.CA().cert_pem.write_to_path(str(other / "ca.pem"))
    async with InsiSandbox(tls=server()) as sandbox:
        bench = make(sandbox, **{**keys.settings(keys.client()), "ca": other / "ca.pem", "attempts": 1})
        assert (await bench.client.search(ADRUN)).code == "insi.tls"
        assert sandbox.calls == 0
        await bench.client.close()


async def test_certificates_that_cannot_be_used_are_said_and_nothing_is_sent(
    keys: Keys, server: Callable[[], ssl.SSLContext], tmp_path: Path
) -> None:
    expired = keys.client(not_before=NOW - timedelta(days=60), not_after=NOW - timedelta(days=1))
    no_key = tmp_path / "no-key.pem"
    no_key.write_bytes(keys.client("INSI-MANU").read_bytes().partition(b"-----BEGIN CERTIFICATE")[1])
    async with InsiSandbox(tls=server()) as sandbox:
        for path, code in (
            (tmp_path / "absent.pem", "insi.certificate.missing"),
            (expired, "insi.certificate.expired"),
            (no_key, "insi.certificate.unreadable"),
        ):
            bench = make(sandbox, **keys.settings(path))
            assert (await bench.client.search(ADRUN)).code == code
            await bench.client.close()
        assert sandbox.calls == 0


def test_certificates_are_read(keys: Keys) -> None:
    end = NOW + timedelta(days=30)
    found = read_certificate(keys.client(not_before=NOW - timedelta(days=300), not_after=end))
    assert isinstance(found, Certificate)
    assert (found.common_name, found.units) == ("INSI-AUTO", ("10B0000000",))
    assert found.trouble(NOW - timedelta(seconds=1)) is None
    assert found.trouble(NOW) is CertificateTrouble.EXPIRING
    assert found.trouble(end) is CertificateTrouble.EXPIRED
    assert found.trouble(NOW - timedelta(days=301)) is CertificateTrouble.NOT_YET
    assert read_certificate(keys.folder / "absent") is CertificateTrouble.MISSING
    assert read_certificate(keys.folder) is CertificateTrouble.UNREADABLE


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://insi.example/lps"},
        {"url": "https://user:secret@insi.example/lps", "certificate": "c.pem"},
        {"url": "https://insi.example/lps"},
        {"per_minute": 0},
        {"unknown": "key"},
    ],
)
def test_settings_refuse_what_would_be_unsafe(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        InsiSettings.model_validate({"url": "http://127.0.0.1:1/lps", "authorisation": "A", **changes})
