"""S/MIME with a PKI of the tests' own: what we sign and encrypt, and what others may do wrong."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import which

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from filled_items import NOTE_ITEM
from mails import DOCTOR, SENDER, attached, codes, documents, files, header, mail, notes, read, text
from xdm_archives import PDF, cda, xdm

from mappings.contracts import FormatError, ReadContext, WriteContext
from mappings.mail import FORMAT
from mappings.xdm import FORMAT as XDM
from router.identity.matching import HoldReason, alarm

NOW = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
INNER = b"Content-Type: text/plain; charset=utf-8\r\n\r\nla patiente fictive va mieux\r\n"
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def certificate(
    subject: str,
    key: Key,
    issuer: tuple[x509.Certificate, Key] | None = None,
    *,
    ca: bool = False,
    address: str | None = SENDER,
    purpose: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.EMAIL_PROTECTION,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer[0].subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 30 * DAY)
        .not_valid_after(NOW + 30 * DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if address and not ca:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
    if purpose and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256())


def pem(one: x509.Certificate) -> bytes:
    return one.public_bytes(Encoding.PEM)


def private(key: Key, password: bytes | None = None) -> bytes:
    protection = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


class Pki:
    """A root, an authority below it, a signer, and a doctor to encrypt for."""

    def __init__(self) -> None:
        self.root_key, self.key, self.doctor_key = (rsa.generate_private_key(65537, 2048) for _ in range(3))
        self.middle_key = ec.generate_private_key(ec.SECP256R1())
        self.root = certificate("AC FICTIVE", self.root_key, ca=True)
        self.middle = certificate("AC FICTIVE 2", self.middle_key, (self.root, self.root_key), ca=True)
        self.certificate = self.issued("labo", self.key)
        self.doctor = self.issued("docteur", self.doctor_key, address=DOCTOR)

    def issued(self, subject: str, key: Key, **more: object) -> x509.Certificate:
        return certificate(subject, key, (self.middle, self.middle_key), **more)  # type: ignore[arg-type]  # as said

    @property
    def reading(self) -> dict[str, bytes]:
        return {
            "smime_key": private(self.doctor_key),
            "smime_certificate": pem(self.doctor),
            "smime_trust": pem(self.root),
        }

    def signed(self, certificate: x509.Certificate | None = None, key: Key | None = None) -> bytes:
        """A signed mail, by another program than ours."""
        builder = PKCS7SignatureBuilder().set_data(INNER)
        builder = builder.add_signer(certificate or self.certificate, key or self.key, hashes.SHA256())
        inside = builder.add_certificate(self.middle).sign(Encoding.SMIME, [PKCS7Options.DetachedSignature])
        return header() + inside.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


def written(pki: Pki, *, encrypted: bool, key: Key | None = None, password: bytes | None = None) -> bytes:
    signer = key or pki.key
    own = pki.issued("autre", signer) if key else pki.certificate
    keys = {"sign_key": private(signer, password), "sign_certificate": pem(own) + pem(pki.middle)}
    if encrypted:
        keys["encrypt_for"] = pem(pki.doctor)
    options = {"from": SENDER, "to": DOCTOR, "sign_key_password": (password or b"").decode()}
    return FORMAT.write(NOTE_ITEM, WriteContext(now=NOW, identity="S-1", options=options, keys=keys)).content


def found(content: bytes, keys: dict[str, bytes]) -> set[str]:
    return codes(read(content, keys, received_at=NOW))


@pytest.mark.parametrize("encrypted", [False, True])
def test_what_we_sign_and_encrypt_is_read_back(pki: Pki, encrypted: bool) -> None:
    content = written(pki, encrypted=encrypted)
    assert (b"patiente" not in content) or not encrypted
    reading = read(content, pki.reading, received_at=NOW)
    assert codes(reading) == {"mail.signature.good"}
    (item,) = notes(reading)
    assert item.content.text is not None
    assert "la patiente fictive a chuté" in item.content.text
    assert item.content.subject == NOTE_ITEM.content.subject
    assert files(documents(reading)[0]) == [b"%PDF-1.4\n"]


def test_a_signature_is_the_same_each_time_and_may_be_of_an_elliptic_key(pki: Pki) -> None:
    assert written(pki, encrypted=False) == written(pki, encrypted=False)
    elliptic = written(pki, encrypted=False, key=ec.generate_private_key(ec.SECP384R1()))
    assert found(elliptic, pki.reading) == {"mail.signature.good"}
    protected = written(pki, encrypted=False, password=b"secret fictif")
    assert found(protected, pki.reading) == {"mail.signature.good"}


def test_another_program_verifies_and_decrypts_what_we_write(pki: Pki, tmp_path: Path) -> None:
    openssl = which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: nobody else can verify")
    for name, content in {**pki.reading, "mail": written(pki, encrypted=True)}.items():
        (tmp_path / name).write_bytes(content)
    decrypt = [openssl, "cms", "-decrypt", "-in", "mail", "-inkey", "smime_key", "-recip", "smime_certificate"]
    subprocess.run([*decrypt, "-out", "inner"], cwd=tmp_path, check=True, capture_output=True)
    moment = str(int(NOW.timestamp()))
    verify = [openssl, "cms", "-verify", "-in", "inner", "-CAfile", "smime_trust", "-attime", moment, "-out", "text"]
    subprocess.run(verify, cwd=tmp_path, check=True, capture_output=True)
    assert b"%PDF" in (tmp_path / "text").read_bytes() or b"JVBERi0xLjQK" in (tmp_path / "text").read_bytes()


@pytest.mark.parametrize("cipher", ["-aes-128-cbc", "-aes-256-cbc", "-des3", "-aes-256-gcm"])
@pytest.mark.parametrize("padded", [[], ["-keyopt", "rsa_padding_mode:oaep"]])
def test_what_another_program_encrypts_is_decrypted(pki: Pki, tmp_path: Path, cipher: str, padded: list[str]) -> None:
    openssl = which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: nobody else can encrypt")
    (tmp_path / "inner").write_bytes(INNER)
    (tmp_path / "to").write_bytes(pem(pki.doctor))
    command = [openssl, "cms", "-encrypt", "-binary", cipher, "-in", "inner", "-out", "mail", "-recip", "to", *padded]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    body = (tmp_path / "mail").read_bytes().replace(b"\n", b"\r\n")
    (item,) = notes(reading := read(header() + body, pki.reading, received_at=NOW))
    assert codes(reading) == set()
    assert item.content.text == "la patiente fictive va mieux"


def test_a_signature_of_another_program_holds(pki: Pki) -> None:
    reading = read(pki.signed(), pki.reading, received_at=NOW)
    assert codes(reading) == {"mail.signature.good"}
    assert notes(reading)[0].content.text == "la patiente fictive va mieux"
    opaque = PKCS7SignatureBuilder().set_data(INNER).add_signer(pki.certificate, pki.key, hashes.SHA256())
    body = attached(opaque.add_certificate(pki.middle).sign(Encoding.DER, []), "smime.p7m", "application/pkcs7-mime")
    assert found(header() + body, pki.reading) == {"mail.signature.good"}


def test_a_signature_that_is_not_to_be_believed_holds_the_mail(pki: Pki) -> None:
    stranger = Pki()
    tls = pki.issued("serveur", pki.key, purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    self_signed = certificate("moi", pki.key)
    for content, keys in (
        (pki.signed().replace(b"va mieux", b"va moins"), pki.reading),
        (pki.signed(), {**pki.reading, "smime_trust": pem(stranger.root)}),
        (pki.signed(tls), pki.reading),
        (pki.signed(self_signed), pki.reading),
        (pki.signed(pki.issued("autre adresse", pki.key, address="x@x.mssante.invalid")), pki.reading),
        (pki.signed().replace(b"t-Type: application/x-pkcs7-signature", b"t-Type: text/plain"), pki.reading),
    ):
        reading = read(content, keys, received_at=NOW)
        assert "mail.signature.invalid" in codes(reading)
        assert alarm(reading.findings) is HoldReason.SIGNATURE
        assert reading.items


def test_an_authority_that_is_none_vouches_for_nobody(pki: Pki) -> None:
    """A certificate of an ordinary person signed another one."""
    child = certificate("enfant", pki.key, (pki.doctor, pki.doctor_key))
    builder = PKCS7SignatureBuilder().set_data(INNER).add_signer(child, pki.key, hashes.SHA256())
    builder = builder.add_certificate(pki.doctor).add_certificate(pki.middle)
    content = header() + builder.sign(Encoding.SMIME, [PKCS7Options.DetachedSignature])
    assert found(content, pki.reading) == {"mail.signature.invalid"}


def test_certificates_must_be_valid_when_the_mail_comes(pki: Pki) -> None:
    for moment in (NOW - 40 * DAY, NOW + 40 * DAY):
        assert codes(read(pki.signed(), pki.reading, received_at=moment)) == {"mail.signature.invalid"}


def test_what_cannot_be_decrypted_is_held_with_its_bytes(pki: Pki) -> None:
    stranger = Pki()
    content = written(pki, encrypted=True)
    damaged = content[:-400] + content[-400:].swapcase()
    for keys, changed in (
        ({}, content),
        (stranger.reading, content),
        (pki.reading, damaged),
        (pki.reading, header() + attached(b"rien", "smime.p7m", "application/pkcs7-mime")),
        (pki.reading, mail(b'Content-Type: multipart/encrypted; boundary="x"\r\n\r\n--x\r\n\r\nPGP\r\n--x--')),
    ):
        reading = read(changed, keys, received_at=NOW)
        assert codes(reading) == {"mail.decryption.failed"}
        assert alarm(reading.findings) is HoldReason.UNDECIPHERED
        (item,) = notes(reading)
        assert len(files(item)) == 1
    apicrypt = read(mail(text("$APICRYPT\r\nQUJD")))
    assert codes(apicrypt) == {"mail.decryption.failed"}
    assert len(files(notes(apicrypt)[0])) == 1


def test_a_document_goes_signed_and_encrypted_too(pki: Pki) -> None:
    (item,) = XDM.read(xdm(), ReadContext()).items
    keys = {
        "sign_key": private(pki.key),
        "sign_certificate": pem(pki.certificate) + pem(pki.middle),
        "encrypt_for": pem(pki.doctor),
    }
    options = {"from": SENDER, "to": DOCTOR}
    content = FORMAT.write(item, WriteContext(now=NOW, identity="S-2", options=options, keys=keys)).content
    reading = read(content, pki.reading, received_at=NOW)
    assert codes(reading) == {"mail.signature.good", "mail.twin"}
    assert files(documents(reading)[0]) == [cda(), PDF]


def test_a_signed_part_beside_others_is_verified_too(pki: Pki) -> None:
    """A list or a gateway wrapped the mail, and added its own words below."""
    signed = pki.signed().removeprefix(header())
    for part, expected in (
        (signed, "mail.signature.good"),
        (signed.replace(b"mieux", b"moins"), "mail.signature.invalid"),
    ):
        reading = read(mail(part, text("Pied de page")), pki.reading, received_at=NOW)
        assert codes(reading) == {expected}
        assert notes(reading)[0].content.text is not None
    sealed = attached(b"0", "smime.p7m", "application/pkcs7-mime")
    reading = read(mail(text("Voir la pièce."), sealed), pki.reading, received_at=NOW)
    assert codes(reading) == {"mail.decryption.failed"}
    assert files(notes(reading)[0]) == [b"0"]
    assert codes(read(mail(*[sealed] * 30), pki.reading)) == {"mail.decryption.failed", "mail.parts.left"}
    certificate = read(mail(text("x"), sealed, Subject="HNET.1/CER/x"), pki.reading)
    assert files(notes(certificate)[0]) == [b"0"]


def test_keys_that_cannot_be_used_are_an_error_of_the_settings(pki: Pki) -> None:
    content = written(pki, encrypted=True)
    other = Pki()
    for changed in (
        {"smime_key": private(other.key)},
        {"smime_key": b"-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n"},
        {"smime_certificate": b"rien"},
        {"smime_key": private(pki.doctor_key, b"inconnu")},
        {"smime_trust": b"rien"},
    ):
        with pytest.raises(FormatError) as refused:
            read(content, {**pki.reading, **changed}, received_at=NOW)
        assert refused.value.code == "mail.key"


def test_several_keys_in_one_file_are_tried(pki: Pki) -> None:
    """A certificate was renewed, and mail for the old one still comes."""
    other = Pki()
    keys = {
        "smime_key": private(other.doctor_key) + private(pki.doctor_key),
        "smime_certificate": pem(other.doctor) + pem(pki.doctor),
        "smime_trust": pem(other.root) + pem(pki.root),
    }
    assert found(written(pki, encrypted=True), keys) == {"mail.signature.good"}


def test_an_authority_below_the_root_may_be_the_anchor(pki: Pki) -> None:
    assert found(pki.signed(), {**pki.reading, "smime_trust": pem(pki.middle)}) == {"mail.signature.good"}


def test_an_outdated_digest_is_told(pki: Pki, tmp_path: Path) -> None:
    openssl = which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: nobody else signs with an outdated digest")
    for name, content in (
        ("in", INNER),
        ("key", private(pki.key)),
        ("own", pem(pki.certificate)),
        ("up", pem(pki.middle)),
    ):
        (tmp_path / name).write_bytes(content)
    command = [openssl, "cms", "-sign", "-binary", "-md", "sha1", "-in", "in", "-signer", "own", "-inkey", "key"]
    subprocess.run([*command, "-certfile", "up", "-out", "mail"], cwd=tmp_path, check=True, capture_output=True)
    content = header() + (tmp_path / "mail").read_bytes()
    assert found(content, pki.reading) == {"mail.signature.good", "mail.signature.weak"}
