"""Reading `passerelle.toml`: errors name the line and the key, secrets come from the environment or from files.

ConfigurationFault       the file cannot be used; `problems` has one sentence for each thing to mend
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from connectors.annuaire.settings import is_address
from connectors.contracts import Connector, Settings
from connectors.registry import connectors
from mappings.registry import format_names
from router.config.model import (
    AnnuaireSection,
    Configuration,
    DestinationSection,
    InsiSection,
    RecipientsSection,
    ResolvedDestination,
    ResolvedSource,
    RouteSection,
)
from router.dossier.notices import NoticeRule, RulesFault, default_rules, read_rules
from router.engine.conditions import ConditionFault, compile_condition
from router.faults import Fault
from router.journal.store import JournalPlace
from router.recipients import rules as recipients
from router.validation.faults import PackageFault
from router.validation.parts import find_parts

_REFERENCE = re.compile(r"\$\{(file:)?([^}]+)\}")
_HEADER = re.compile(r"^\s*\[\[?\s*([^\]]+?)\s*\]\]?")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-\"']+)\s*=")


class ConfigurationFault(Fault):
    """The configuration cannot be used; each problem is one sentence with its line and key."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__(f"{path} cannot be used:\n" + "\n".join(f"  {one}" for one in self.problems))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that was read, checked and resolved."""

    path: Path
    configuration: Configuration
    sources: tuple[ResolvedSource, ...]
    destinations: tuple[ResolvedDestination, ...]
    digest: str = ""
    """SHA-256 of its text, where it was read from one."""

    def logging_as(self, form: str) -> Loaded:
        """Give the same with another form of the log (`[observe] log_format`)."""
        observe = self.configuration.observe.model_copy(update={"log_format": form})
        return replace(self, configuration=self.configuration.model_copy(update={"observe": observe}))

    @property
    def place(self) -> JournalPlace:
        """Where the journal is."""
        section = self.configuration.journal
        data = (self.path.parent / section.data).resolve()
        return JournalPlace.at(data, section.url, blobs_in_database=section.blobs == "database")

    @property
    def code_maps(self) -> tuple[Path, ...]:
        """The files of concept maps."""
        return tuple((self.path.parent / name).resolve() for name in self.configuration.codes.maps)

    @property
    def insi(self) -> InsiSection | None:
        """The section of INSi with its paths resolved, None when it is not configured."""
        section = self.configuration.insi
        return None if section is None else _placed(section, self.folder)

    @property
    def annuaire(self) -> AnnuaireSection | None:
        """The section of the directory with its paths resolved, None when it is not configured."""
        section = self.configuration.annuaire
        if section is None:
            return None
        files = tuple(one if is_address(one) else str(self.folder / one) for one in section.files)
        listed = section.white_list
        kept = listed if listed is None or is_address(listed) else str(self.folder / listed)
        return _placed(section, self.folder).model_copy(update={"files": files, "white_list": kept})

    def recipient_rules(self, section: RecipientsSection) -> recipients.Rules:
        """Give the tables of who gets what that hold for a destination. Raises its RulesFault, or OSError."""
        default = recipients.default_rules()
        return recipients.Rules(
            recipients.read_rows(_text(self.folder / section.rules)) if section.rules else default.rows,
            recipients.read_wishes(_text(self.folder / section.wishes)) if section.wishes else default.wishes,
        )

    @property
    def notice_rules(self) -> tuple[NoticeRule, ...]:
        """The rules by which circles are told of events; `load` checked that they can be read."""
        name = self.configuration.dossier.rules
        return read_rules((self.folder / name).read_text(encoding="utf-8")) if name else default_rules()

    @property
    def validation_package(self) -> Path:
        """The folder of the validation package."""
        return (self.path.parent / self.configuration.validation.package).resolve()

    def key_files(self, names: Mapping[str, str]) -> dict[str, bytes]:
        """Read the files that a format needs; `load` checked that they can be."""
        return {name: (self.folder / path).read_bytes() for name, path in names.items()}

    @property
    def folder(self) -> Path:
        """The folder that relative paths of the file start from."""
        return self.path.parent


def load(path: Path, environment: Mapping[str, str] | None = None) -> Loaded:
    """Read and check a configuration file. Raises ConfigurationFault with all that is wrong, not the first only."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationFault(path, ["no such file; `passerelle init DIR` makes one"]) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationFault(path, [f"cannot be read: {type(problem).__name__}"]) from None
    return load_text(text, path, environment)


def load_text(text: str, path: Path, environment: Mapping[str, str] | None = None) -> Loaded:
    """Check the text of a configuration as if it stood at `path`. Raises ConfigurationFault as `load` does."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationFault(path, [f"is not valid TOML: {problem}"]) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets inside one another without end
        told = "is not valid TOML: a number is too long, or values are nested too deeply"
        raise ConfigurationFault(path, [told]) from None
    problems: list[str] = []
    lines = _line_numbers(text, path.resolve().parent)
    values = _resolve(raw, dict(os.environ if environment is None else environment), path.parent, lines, problems, ())
    try:
        configuration = Configuration.model_validate(values)
    except ValidationError as invalid:
        problems += [_sentence(error, lines, ()) for error in invalid.errors()]
        raise ConfigurationFault(path, problems) from None
    sources = _sources(configuration, lines, problems)
    destinations = _destinations(configuration, lines, problems)
    _check_routes(configuration, lines, problems)
    _check_code_maps(configuration, lines, problems)
    _check_notice_rules(configuration, lines, problems)
    _check_validation(configuration, lines, problems)
    _check_keys(configuration, lines, problems)
    _check_watch(configuration, lines, problems)
    _check_providers(configuration, lines, problems)
    _check_recipients(configuration, lines, problems)
    _check_cluster(configuration, lines, problems)
    if problems:
        raise ConfigurationFault(path, problems)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Loaded(path.resolve(), configuration, tuple(sources), tuple(destinations), digest)


def _sources(configuration: Configuration, lines: _Lines, problems: list[str]) -> list[ResolvedSource]:
    resolved = []
    for name, section in configuration.sources.items():
        at = ("sources", name)
        connector = _connector(section.connector, at, lines, problems)
        if connector is None:
            continue
        if connector.source_settings is None or connector.make_source is None:
            problems.append(f"{lines.at((*at, 'connector'))}the connector {section.connector!r} cannot be a source")
            continue
        _check_format(section.format, (*at, "format"), lines, problems)
        settings = _settings(connector.source_settings, section.connector_settings, at, lines, problems)
        if settings is not None:
            implied = connector.source_format
            resolved.append(ResolvedSource(name=name, section=section, settings=settings, implied_format=implied))
    return resolved


def _destinations(configuration: Configuration, lines: _Lines, problems: list[str]) -> list[ResolvedDestination]:
    resolved = []
    for name, section in configuration.destinations.items():
        at = ("destinations", name)
        connector = _connector(section.connector, at, lines, problems)
        if connector is None:
            continue
        if connector.destination_settings is None or connector.make_destination is None:
            problems.append(
                f"{lines.at((*at, 'connector'))}the connector {section.connector!r} cannot be a destination"
            )
            continue
        format_name = section.format or connector.format
        if format_name is None:
            problems.append(f"{lines.at(at)}say which `format` to write; installed: {', '.join(format_names())}")
            continue
        _check_format(format_name, (*at, "format"), lines, problems)
        raw = section.connector_settings
        if section.concurrency is not None and "concurrency" in connector.destination_settings.model_fields:
            raw.setdefault("concurrency", section.concurrency)
        settings = _settings(connector.destination_settings, raw, at, lines, problems)
        if settings is not None:
            resolved.append(ResolvedDestination(name=name, section=section, settings=settings, format=format_name))
    return resolved


def _connector(name: str, at: tuple[str, ...], lines: _Lines, problems: list[str]) -> Connector | None:
    known = connectors()
    if name not in known:
        problems.append(f"{lines.at((*at, 'connector'))}no connector {name!r}; installed: {', '.join(known)}")
    return known.get(name)


def _check_format(name: str | None, at: tuple[str, ...], lines: _Lines, problems: list[str]) -> None:
    if name is not None and name not in format_names():
        problems.append(f"{lines.at(at)}no format {name!r}; installed: {', '.join(format_names())}")


def _settings(
    model: type[Settings], raw: dict[str, Any], at: tuple[str, ...], lines: _Lines, problems: list[str]
) -> Settings | None:
    try:
        settings = model.model_validate(raw)
    except ValidationError as invalid:
        problems += [_sentence(error, lines, at) for error in invalid.errors()]
        return None
    placed = _placed(settings, lines.folder)
    problems += [f"{lines.at(at)}{problem}" for problem in placed.problems()]
    return placed


M = TypeVar("M", bound=BaseModel)


def _placed(settings: M, folder: Path) -> M:
    """Make relative paths start from the file's folder, wherever the router was started, at any depth."""
    own_base: frozenset[str] = getattr(settings, "own_base", frozenset())
    moved: dict[str, Any] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            moved[name] = _placed(value, folder)
        elif isinstance(value, Path) and name not in own_base:
            moved[name] = folder / value
    return settings.model_copy(update=moved) if moved else settings


def _check_routes(configuration: Configuration, lines: _Lines, problems: list[str]) -> None:
    names: set[str] = set()
    for rank, route in enumerate(configuration.routes):
        at = ("routes", str(rank))
        if route.name in names:
            problems.append(f"{lines.at((*at, 'name'))}two routes are called {route.name!r}")
        names.add(route.name)
        problems += [
            f"{lines.at((*at, 'to'))}route {route.name!r} sends to {target!r}, which is not a destination"
            for target in route.to
            if target not in configuration.destinations
        ]
        problems += [
            f"{lines.at((*at, 'sources'))}route {route.name!r} takes from {source!r}, which is not a source"
            for source in route.sources
            if source not in configuration.sources
        ]
        try:
            compile_condition(route.when)
        except ConditionFault as fault:
            problems.append(f"{lines.at((*at, 'when'))}route {route.name!r}: {fault}")


def _check_code_maps(configuration: Configuration, lines: _Lines, problems: list[str]) -> None:
    for name in configuration.codes.maps:
        try:
            with (lines.folder / name).open("rb"):
                continue
        except OSError:
            problems.append(f"{lines.at(('codes', 'maps'))}the file {name} cannot be read")


def _check_providers(configuration: Configuration, lines: _Lines, problems: list[str]) -> None:
    for name, section in configuration.web.oidc.items():
        for key in ("client_key", "authorities"):
            file = getattr(section, key)
            try:
                if file:
                    (lines.folder / file).read_bytes()
            except OSError as problem:
                at = lines.at(("web", "oidc", name, key))
                problems.append(f"{at}the file {file} cannot be read ({type(problem).__name__})")


def _check_cluster(configuration: Configuration, lines: _Lines, problems: list[str]) -> None:
    """Tell what nodes of a cluster must share and do not."""
    journal, cluster = configuration.journal, configuration.cluster
    on_postgres = journal.url.startswith("postgresql")
    if journal.blobs == "database" and not on_postgres:
        problems.append(f"{lines.at(('journal', 'blobs'))}contents are in the database only with a PostgreSQL url")
    if cluster is None:
        return
    if not on_postgres:
        problems.append(f"{lines.at(('cluster',))}nodes share a PostgreSQL journal: give [journal] url")
    elif journal.blobs != "database":
        problems.append(f'{lines.at(("cluster",))}nodes share no disk: write blobs = "database" in [journal]')
    problems.extend(f"{lines.at(('cluster', key))}{said}" for key, said in cluster.problems(lines.folder))


def _check_notice_rules(configuration: Configuration, lines: _Lines, problems: list[str]) -> None:
    name = configuration.dossier.rules
    if not name:
        return
    at = lines.at(("dossier", "rules"))
    try:
        read_rules((lines.folder / name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        problems.append(f"{at}the file {name} cannot be read ({type(problem).__name__})")
    except RulesFault as fault:
        problems += [f"{at}{name}: {one}" for one in fault.problems]


def _check_validation(configuration: Configuration, lines: _Lines, problems: list[str]) -> None:
    package = configuration.validation.package
    if package:
        try:
            find_parts((lines.folder / package).resolve())
        except PackageFault as fault:
            problems.append(f"{lines.at(('validation', 'package'))}{fault}")
        return
    strict = [("destinations", name, "validate") for name, one in configuration.destinations.items() if _strict(one)]
    strict += [("routes", str(rank), "validate") for rank, one in enumerate(configuration.routes) if _strict(one)]
    problems += [f"{lines.at(at)}say which `package` to check against, in [validation]" for at in strict]


def _check_watch(configuration: Configuration, lines: _Lines, problems: list[str]) -> None:
    """Tell when alarms or notices go through a destination that is none of MSSanté, or does not say who writes."""
    places = (
        (("watch", "mssante"), configuration.watch.mssante),
        (
            ("dossier", "alerts", "mssante"),
            configuration.dossier.alerts.mssante,
        ),
    )
    for place, name in places:
        if not name:
            continue
        where, found = lines.at(place), configuration.destinations.get(name)
        if found is None or found.connector != "mssante":
            problems.append(f"{where}there is no destination {name!r} of the connector mssante")
        elif not found.options.get("from"):
            problems.append(f"{where}the destination {name!r} must say who writes: options.from")
        elif place[0] == "dossier" and (found.options.get("to") or found.options.get("audience") == "patient"):
            problems.append(f"{where}the destination {name!r} writes to one address alone, members have their own")


def _check_keys(configuration: Configuration, lines: _Lines, problems: list[str]) -> None:
    """Tell of files of keys that cannot be read."""
    sections = [(("sources", name), one.keys) for name, one in configuration.sources.items()]
    sections += [(("destinations", name), one.keys) for name, one in configuration.destinations.items()]
    for at, keys in sections:
        for name, path in keys.items():
            try:
                (lines.folder / path).read_bytes()
            except OSError as problem:
                where = lines.at((*at, "keys", name))
                problems.append(f"{where}the file {path} cannot be read ({type(problem).__name__})")


def _check_recipients(configuration: Configuration, lines: _Lines, problems: list[str]) -> None:
    """Tell of tables of who gets what that cannot be used."""
    for name, one in configuration.destinations.items():
        for key, read in (("rules", recipients.read_rows), ("wishes", recipients.read_wishes)):
            path = getattr(one.recipients, key, "")
            if not path:
                continue
            where = lines.at(("destinations", name, "recipients", key))
            try:
                read(_text(lines.folder / path))
            except (OSError, UnicodeDecodeError) as problem:
                problems.append(f"{where}the file {path} cannot be read ({type(problem).__name__})")
            except recipients.RulesFault as fault:
                problems.append(f"{where}{path}, {fault}")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig")


def _strict(section: DestinationSection | RouteSection) -> bool:
    return section.validation == "strict"


@dataclass(frozen=True, slots=True)
class _Lines:
    """Where each key of the file stands; TOML readers do not say."""

    numbers: dict[tuple[str, ...], int]
    folder: Path

    def at(self, key: tuple[str, ...]) -> str:
        """Give `line 12, sources.labo.listen: ` for a key, or for the nearest table above it."""
        dotted = ".".join(key)
        for length in range(len(key), 0, -1):
            number = self.numbers.get(key[:length])
            if number is not None:
                return f"line {number}, {dotted}: "
        return f"{dotted}: "


def _line_numbers(text: str, folder: Path) -> _Lines:
    numbers: dict[tuple[str, ...], int] = {}
    ranks: dict[str, int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            name = header.group(1)
            table = tuple(part.strip(" \"'") for part in name.split("."))
            if line.lstrip().startswith("[["):
                rank = ranks.get(name, -1) + 1
                ranks[name] = rank
                table = (*table, str(rank))
            numbers.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key:
            numbers.setdefault((*table, key.group(1).strip("\"'")), number)
    return _Lines(numbers, folder)


def _resolve(
    value: Any, environment: dict[str, str], folder: Path, lines: _Lines, problems: list[str], at: tuple[str, ...]
) -> Any:
    if isinstance(value, dict):
        return {key: _resolve(inner, environment, folder, lines, problems, (*at, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [
            _resolve(inner, environment, folder, lines, problems, (*at, str(rank))) for rank, inner in enumerate(value)
        ]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        from_file, name = match.groups()
        if from_file:
            try:
                return (folder / name).read_text(encoding="utf-8").strip()
            except OSError:
                problems.append(f"{lines.at(at)}the secret's file {name} cannot be read")
                return ""
        if name not in environment:
            problems.append(f"{lines.at(at)}the environment variable {name} is not set")
        return environment.get(name, "")

    return _REFERENCE.sub(replace, value)


def _sentence(error: Any, lines: _Lines, prefix: tuple[str, ...]) -> str:
    location = (*prefix, *(str(part) for part in error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{lines.at(location)}there is no such key"
    message: str = error["msg"]
    return f"{lines.at(location)}{message[0].lower()}{message[1:]}"
