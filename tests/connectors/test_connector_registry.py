from __future__ import annotations

import pytest

from connectors.address import Address, parse_address, peer_host
from connectors.contracts import Connector
from connectors.registry import UnknownConnector, connector_named, connectors


def test_ours_come_in_through_the_door_of_third_parties() -> None:
    found = connectors()
    assert {"directory", "fhir", "http", "mllp"} <= set(found)
    assert list(found) == sorted(found)
    for name, connector in found.items():
        assert isinstance(connector, Connector)
        assert connector.name == name
        assert connector.summary
        assert (connector.source_settings is None) == (connector.make_source is None)
        assert (connector.destination_settings is None) == (connector.make_destination is None)


def test_an_unknown_name_is_answered_with_those_that_exist() -> None:
    assert connector_named("mllp").format == "hl7v2"
    with pytest.raises(UnknownConnector, match=r"no connector named 'mlpp'; installed: .*mllp"):
        connector_named("mlpp")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:2575", Address("127.0.0.1", 2575)),
        ("[::1]:0", Address("::1", 0)),
        ("labo.example:65535", Address("labo.example", 65535)),
    ],
)
def test_addresses(text: str, expected: Address) -> None:
    assert parse_address(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize("text", ["", "2575", ":2575", "host:", "host:65536", "host:-1", "host:2²", "host"])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"host:port|from 0 to 65535"):
        parse_address(text)


def test_a_socket_without_a_name() -> None:
    assert peer_host(("192.0.2.1", 1)) == "192.0.2.1"
    assert peer_host(("::1", 1, 0, 0)) == "::1"
    assert peer_host("") == ""
    assert peer_host(None) == ""
