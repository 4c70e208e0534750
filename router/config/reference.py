"""The configuration reference, generated from the models that check the file: it cannot fall behind them."""

from __future__ import annotations

import csv
import types
import typing
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from connectors.registry import connectors
from router.config.cluster import ClusterSection
from router.config.model import (
    AlertsSection,
    AnnuaireSection,
    CodesSection,
    Configuration,
    DestinationSection,
    DossierSection,
    EngineSection,
    IdentitySection,
    InsiSection,
    JournalSection,
    ObserveSection,
    RecipientsSection,
    RetrySection,
    RouteSection,
    SourceSection,
    ValidationSection,
    WatchSection,
    WebSection,
)
from router.config.oidc import OidcSection
from router.recipients.rules import shipped

_SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("[journal]", JournalSection),
    ("[engine]", EngineSection),
    ("[identity]", IdentitySection),
    ("[insi]", InsiSection),
    ("[annuaire]", AnnuaireSection),
    ("[codes]", CodesSection),
    ("[dossier]", DossierSection),
    ("[dossier.alerts]", AlertsSection),
    ("[validation]", ValidationSection),
    ("[watch]", WatchSection),
    ("[observe]", ObserveSection),
    ("[web]", WebSection),
    ("[web.oidc.NAME]", OidcSection),
    ("[cluster]", ClusterSection),
    ("[sources.NAME]", SourceSection),
    ("[destinations.NAME]", DestinationSection),
    ("[destinations.NAME.retry]", RetrySection),
    ("[destinations.NAME.recipients]", RecipientsSection),
    ("[[routes]]", RouteSection),
)


def reference() -> str:
    """Give the reference as Markdown."""
    return "\n".join(_lines()).rstrip() + "\n"


def _lines() -> Iterator[str]:
    yield "# Configuration reference"
    yield ""
    yield "Made by `passerelle reference` from the models that check the file. `${NAME}` in a text is replaced by an"
    yield "environment variable, `${file:PATH}` by a file's content; relative paths start from the file's folder."
    yield ""
    yield f"Top-level sections: {', '.join(f'`{name}`' for name in Configuration.model_fields)}."
    for title, model in _SECTIONS:
        yield from _table(f"## `{title}`", model)
    yield from _recipients()
    for name, connector in connectors().items():
        yield ""
        yield f"## Connector `{name}`"
        yield ""
        yield connector.summary
        for side, settings in (("source", connector.source_settings), ("destination", connector.destination_settings)):
            if settings is not None:
                yield from _table(f"### As a {side}", settings)


def _recipients() -> Iterator[str]:
    """Print the shipped tables of who gets what."""
    yield ""
    yield "## Who gets what"
    yield ""
    yield "The tables that hold where `recipients` names none (`docs/directory.md`); the first row that fits holds."
    for name in ("who_gets_what.csv", "legal_wishes.csv"):
        header, *rows = csv.reader(shipped(name).splitlines())
        yield ""
        yield f"`{name}`"
        yield ""
        yield f"| {' | '.join(header)} |"
        yield "|" + "---|" * len(header)
        for row in rows:
            yield f"| {' | '.join(row)} |"


def _table(title: str, model: type[BaseModel]) -> Iterator[str]:
    yield ""
    yield title
    yield ""
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for name, info in model.model_fields.items():
        meaning = " ".join((info.description or "").split())
        yield f"| `{info.alias or name}` | {_type(info.annotation)} | {_default(info)} | {meaning} |"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "**required**"
    value: Any = info.default if info.default is not PydanticUndefined else None
    if info.default_factory is not None or isinstance(value, BaseModel):
        return ""
    if value is None:
        return "unset"
    if isinstance(value, tuple) and any(isinstance(one, (IPv4Network, IPv6Network)) for one in value):
        return f"`{[str(one) for one in value]}`"
    return f"`{value}`".lower() if isinstance(value, bool) else f"`{value}`" if value != "" else "empty"


def _type(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    inner = [one for one in typing.get_args(annotation) if one is not type(None)]
    if origin is typing.Annotated:
        return _type(inner[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type(one) for one in inner))
    if origin is typing.Literal:
        return " or ".join(f"`{one}`" for one in inner)
    if origin in (list, tuple, set, frozenset):
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return "table"
    names = {str: "text", int: "integer", float: "number", bool: "true or false", SecretStr: "secret"}
    return names.get(annotation, "table" if _is_model(annotation) else "path" if "Path" in str(annotation) else "text")


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
