"""The white list: strict reading, several operators of one domain, and the last good one that stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.annuaire.white_list import NAMESPACE, KeptWhiteList, read_white_list
from mappings.contracts import FormatError

ENTRY = "<Domaine><Nom>{}</Nom><DNCertificatOperateur>{}</DNCertificatOperateur></Domaine>"


def listed(*entries: str, made: str = "2024-01-15T06:00:00Z") -> bytes:
    body = "".join(entries)
    return (
        f'<ListeBlancheMSSante xmlns="{NAMESPACE}"><DateDeGeneration>{made}</DateDeGeneration>'
        f"<ListeDomaines>{body}</ListeDomaines></ListeBlancheMSSante>"
    ).encode()


GOOD = listed(ENTRY.format("Test.mssante.invalid", "CN=a"), ENTRY.format("test.mssante.invalid", "CN=b"))


def test_one_domain_has_every_operator_of_it() -> None:
    found = read_white_list(GOOD)
    assert found.operators("TEST.mssante.invalid") == {"CN=a", "CN=b"}
    assert found.allowed("dr.fictif@test.mssante.invalid")
    assert found.allowed("Test.MSSante.invalid.")
    assert not found.allowed("dr.fictif@autre.mssante.invalid")
    assert not found.allowed("dr.fictif@test.mssante.invalid.exemple.invalid")


def test_the_public_form_of_the_list(shared_data: Path) -> None:
    found = read_white_list((shared_data / "mssante" / "listeblanche-fictive.xml").read_bytes())
    assert {name: len(operators) for name, operators in found.domains.items()} == {
        "labo-fictif.mssante.invalid": 1,
        "test.mssante.invalid": 2,
    }


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (GOOD[:-23], "white_list.not_xml"),
        (b"", "white_list.not_xml"),
        (b"<html/>", "white_list.root"),
        (listed(), "white_list.empty"),
        (listed(ENTRY.format("test.mssante.invalid", "")), "white_list.entry"),
        (listed(ENTRY.format("not a domain", "CN=a")), "white_list.entry"),
        (listed(ENTRY.format("test.mssante.invalid", "CN=a"), made=""), "white_list.entry"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]>' + GOOD, "white_list.doctype"),
        (
            b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>' + GOOD.replace(b"CN=a", b"&b;"),
            "white_list.doctype",
        ),
    ],
)
def test_one_that_is_not_whole_leaves_the_last_good(tmp_path: Path, content: bytes, code: str) -> None:
    kept = KeptWhiteList(tmp_path)
    assert kept.current() is None
    kept.replace(GOOD)
    with pytest.raises(FormatError) as refused:
        kept.replace(content)
    assert refused.value.code == code
    again = KeptWhiteList(tmp_path).current()
    assert again is not None
    assert again.allowed("test.mssante.invalid")


def test_a_list_that_another_process_replaced_is_seen(tmp_path: Path) -> None:
    reader = KeptWhiteList(tmp_path)
    KeptWhiteList(tmp_path).replace(GOOD)
    first = reader.current()
    KeptWhiteList(tmp_path).replace(listed(ENTRY.format("neuf.mssante.invalid", "CN=c")))
    second = reader.current()
    assert first is not None
    assert second is not None
    assert (first.allowed("neuf.mssante.invalid"), second.allowed("neuf.mssante.invalid")) == (False, True)
