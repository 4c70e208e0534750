"""What a source, a destination or a route is set to, as rows that anybody may read: secrets are never among them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from pydantic import BaseModel, SecretStr

from router.config.model import DestinationSection, ResolvedDestination, ResolvedSource, RouteSection, SourceSection

HIDDEN = "•••"
_SECRET = re.compile(r"password|secret|token|api_?key|authorization|cookie", re.IGNORECASE)
_OPEN = frozenset({"token_file", "token_seconds", "token_url"})
"""Settings whose names sound like secrets, and that are none."""

_TABLES_OF_SECRETS = frozenset({"headers"})
_ONLY_FIRST = frozenset({"token_command"})
"""Commands: the program is shown, its arguments may be secret."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of a section: its value as it is shown, what it means, whether the configuration says it at all.

    `compared` tells two values apart, secret ones too; it is never shown.
    """

    key: str
    shown: str
    meaning: str
    chosen: bool
    secret: bool
    compared: object


def source_settings(resolved: ResolvedSource) -> list[Setting]:
    """List the settings of a source: those of every source, then those of its connector."""
    return [*_of(resolved.section, frozenset(SourceSection.model_fields)), *_of(resolved.settings)]


def destination_settings(resolved: ResolvedDestination) -> list[Setting]:
    """List the settings of a destination."""
    return [*_of(resolved.section, frozenset(DestinationSection.model_fields)), *_of(resolved.settings)]


def route_settings(route: RouteSection) -> list[Setting]:
    """List the settings of a route."""
    return list(_of(route))


def _of(model: BaseModel, only: frozenset[str] | None = None, prefix: str = "") -> Iterator[Setting]:
    for name, info in type(model).model_fields.items():
        if only is not None and name not in only:
            continue
        value, key = getattr(model, name), f"{prefix}{info.alias or name}"
        if isinstance(value, BaseModel):
            yield from _of(value, prefix=f"{key}.")
            continue
        meaning = " ".join((info.description or "").split())
        chosen = name in model.model_fields_set and value not in (None, "", (), {})
        if isinstance(value, dict):
            for inner, said in value.items():
                secret = name in _TABLES_OF_SECRETS or _is_secret(inner, said)
                yield Setting(
                    f"{key}.{inner}", HIDDEN if secret else _text(said), meaning, True, secret, _compared(said)
                )
            continue
        secret = _is_secret(name, value)
        shown = HIDDEN if secret and value is not None else _text(value[:1] if name in _ONLY_FIRST else value)
        yield Setting(key, shown, meaning, chosen, secret, _compared(value))


def shown_option(name: str, value: str) -> str:
    """Give the value of a format's option as anybody may read it."""
    return HIDDEN if _is_secret(name, value) else value


def _is_secret(name: str, value: object) -> bool:
    if isinstance(value, SecretStr) or (isinstance(value, tuple) and any(isinstance(one, SecretStr) for one in value)):
        return True
    return isinstance(value, str) and name not in _OPEN and bool(_SECRET.search(name)) and "header" not in name


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, frozenset | set):
        return ", ".join(sorted(_text(one) for one in value))
    if isinstance(value, tuple | list):
        return ", ".join(_text(one) for one in value)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def _compared(value: object) -> object:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return tuple(_compared(one) for one in value) if isinstance(value, tuple) else value
