"""Who a tool is: secrets, tokens, signed assertions, certificates; rotated, narrowed, revoked."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from web_client import Answer, Browser

from router.dossier.tools.registry import ToolFault, add_tool, revoke_tool, rotate_secret
from router.journal import tables

Rig = Any
DOCTOR = "https://rpps.esante.gouv.fr|89900000001"


async def token(rig: Rig, **form: str) -> Answer:
    body = urlencode({"grant_type": "client_credentials", **form}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return await Browser(rig.app).call("POST", "/oauth/token", body, headers)


async def read(rig: Rig, bearer: str, **headers: str) -> int:
    sent = {"Authorization": f"Bearer {bearer}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return (await Browser(rig.app).call("GET", f"/fhir/{rig.patient}", headers=sent)).status


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


class Keys:
    """A tool's pair of keys, and what it signs with them."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        numbers = self._private.public_key().public_numbers()
        point = {"x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}
        self.public = orjson.dumps({"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", **point}]})

    def assertion(self, now: int, *, algorithm: str = "ES256", **claims: Any) -> str:
        said = {"iss": "dui", "sub": "dui", "aud": "http://router.test/oauth/token", "jti": "1", "exp": now + 60}
        head = b64(orjson.dumps({"alg": algorithm, "kid": "1"}))
        body = f"{head}.{b64(orjson.dumps(said | claims))}"
        r, s = decode_dss_signature(self._private.sign(body.encode(), ec.ECDSA(SHA256())))
        return f"{body}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


async def test_a_token_reads_on_behalf_of_one_person_until_it_ends(rig: Rig) -> None:
    await rig.follow()
    rig.tool()
    answer = await token(rig, client_id="spico", client_secret=rig.secrets["spico"], on_behalf_of=DOCTOR)
    found = answer.json()
    assert (answer.status, found["token_type"], found["expires_in"]) == (200, "Bearer", 900)
    assert await read(rig, found["access_token"]) == 200
    assert await read(rig, found["access_token"], On_Behalf_Of=DOCTOR) == 200
    assert await read(rig, found["access_token"], On_Behalf_Of="https://rpps.esante.gouv.fr|89900000002") == 401
    rig.scene.now += 901_000_000
    assert await read(rig, found["access_token"]) == 401
    assert found["access_token"].encode() not in bytes(rig.rows(tables.tool_token)[0].token_hash)


async def test_scopes_are_narrowed_and_never_widened(rig: Rig) -> None:
    await rig.follow()
    rig.tool("lecteur", "read")
    proof = {"client_id": "lecteur", "client_secret": rig.secrets["lecteur"]}
    narrow = (await token(rig, **proof, scope="read/Appointment", on_behalf_of=DOCTOR)).json()
    assert await read(rig, narrow["access_token"]) == 403
    wide = await token(rig, **proof, scope="write")
    assert (wide.status, wide.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_id": "spico", "client_secret": "faux"}, 401, "invalid_client"),
        ({"client_id": "inconnu", "client_secret": "faux"}, 401, "invalid_client"),
        ({"client_id": "spico"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_assertion": "a.b.c", "client_assertion_type": "autre"}, 400, "invalid_request"),
        ({"client_assertion": "a.b", "client_assertion_type": "x"}, 400, "invalid_request"),
    ],
)
async def test_tokens_that_are_not_given(rig: Rig, form: dict[str, str], status: int, error: str) -> None:
    rig.tool()
    answer = await token(rig, **form)
    assert (answer.status, answer.json()["error"]) == (status, error)


async def test_a_signed_assertion_is_good_once(rig: Rig) -> None:
    keys = Keys()
    _, change = add_tool("dui", ["read"], now=rig.scene.now, keys=keys.public)
    rig.scene.journal.apply(change)
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    now = rig.scene.now // 1_000_000
    first = keys.assertion(now)
    assert (await token(rig, client_assertion=first, client_assertion_type=kind)).status == 200
    assert (await token(rig, client_assertion=first, client_assertion_type=kind)).status == 401
    for wrong in (
        keys.assertion(now, jti="2", aud="https://autre.example"),
        keys.assertion(now, jti="3", exp=now - 600),
        keys.assertion(now, jti="4", exp=now + 90_000),
        keys.assertion(now, jti="5", algorithm="none"),
        keys.assertion(now, jti="6", iss="spico"),
        Keys().assertion(now, jti="7"),
    ):
        assert (await token(rig, client_assertion=wrong, client_assertion_type=kind)).status == 401


async def test_a_secret_is_changed_without_a_gap_and_a_tool_shut_out_at_once(rig: Rig) -> None:
    await rig.follow()
    rig.tool()
    former = f"spico:{rig.secrets['spico']}"
    fresh, change = rotate_secret("spico", now=rig.scene.now, overlap_hours=1)
    rig.scene.journal.apply(change)
    assert await read(rig, former, On_Behalf_Of=DOCTOR) == 200
    assert await read(rig, f"spico:{fresh}", On_Behalf_Of=DOCTOR) == 200
    rig.scene.now += 3_601_000_000
    assert await read(rig, former, On_Behalf_Of=DOCTOR) == 401
    given = (await token(rig, client_id="spico", client_secret=fresh, on_behalf_of=DOCTOR)).json()
    rig.scene.journal.apply(revoke_tool("spico", now=rig.scene.now))
    assert await read(rig, given["access_token"]) == 401
    assert await read(rig, f"spico:{fresh}", On_Behalf_Of=DOCTOR) == 401


async def test_a_tool_tied_to_a_certificate_must_show_it(rig: Rig) -> None:
    rig.tool("lie", certificate=bytes(32))
    assert await read(rig, f"lie:{rig.secrets['lie']}", On_Behalf_Of=DOCTOR) == 401
    answer = await token(rig, client_id="lie", client_secret=rig.secrets["lie"])
    assert answer.status == 401


def test_registrations_that_are_refused() -> None:
    for arguments in (("Majuscule", ["read"]), ("bon", ["tout"]), ("bon", [])):
        with pytest.raises(ToolFault):
            add_tool(*arguments, now=0)
    with pytest.raises(ToolFault):
        add_tool("bon", ["read"], now=0, keys=b'{"keys":[{"kty":"EC","d":"secret"}]}')


async def test_a_tool_without_a_habilitation_reads_nothing(rig: Rig) -> None:
    rig.scene.lab("a" * 32)
    await rig.follow()
    secret, change = add_tool("nouveau", ["read"], now=rig.scene.now)
    rig.scene.journal.apply(change)
    assert await read(rig, f"nouveau:{secret}", On_Behalf_Of=DOCTOR) == 403


@pytest.mark.parametrize("audience", [{"a": 1}, [{"a": 1}], [[]], 7, None])
async def test_an_audience_that_is_no_text_is_refused(rig: Rig, audience: object) -> None:
    keys = Keys()
    _, change = add_tool("dui", ("read",), now=rig.scene.now, keys=keys.public.decode())
    rig.scene.journal.apply(change)
    assertion = keys.assertion(rig.scene.now // 1_000_000, aud=audience)
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    answer = await token(rig, client_assertion_type=kind, client_assertion=assertion)
    assert (answer.status, answer.json()["error"]) == (401, "invalid_client")


async def test_an_address_that_fails_too_often_waits(rig: Rig) -> None:
    desk = rig.app.state.desk
    desk.proofs._per_minute = 2
    rig.tool()
    good = {"client_id": "spico", "client_secret": rig.secrets["spico"]}
    assert [(await token(rig, client_id="spico", client_secret="x")).status for _ in range(3)] == [401, 401, 429]
    answer = await token(rig, **good)
    assert (answer.status, int(answer.headers["retry-after"]) > 0) == (429, True)
    assert await read(rig, "x") == 429
    assert (await Browser(rig.app).get("/fhir/metadata")).status == 200


async def test_a_tool_may_ask_so_much(rig: Rig) -> None:
    await rig.follow()
    rig.tool()
    rig.app.state.desk.calls._per_minute = 2
    bearer = (await token(rig, client_id="spico", client_secret=rig.secrets["spico"], on_behalf_of=DOCTOR)).json()
    answers = [await read(rig, bearer["access_token"]) for _ in range(3)]
    assert answers == [200, 200, 429]


async def test_an_address_with_too_many_parameters_is_refused(rig: Rig) -> None:
    client = rig.tool()
    answer = await client.get("/Patient?" + "&".join(f"a{number}=b" for number in range(250)))
    assert answer.status == 400
