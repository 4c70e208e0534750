"""Read and write the JSON of the canonical model: `{"items": […], "findings": […]}`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json

from mappings import json_positions
from mappings.contracts import Format, FormatError, Piece, Position, ReadContext, Reading, Rendition, WriteContext
from mappings.pieces_limit import check_values
from mappings.safe_names import safe_stem
from schemas.finding import Finding, Severity
from schemas.item import ITEM, Item, ItemKind, ItemSet

_ITEM_SET = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"(?:items|findings)"\s*:')
_LIKE_A_NAME = re.compile(r"[a-z][a-z_]{0,30}")
_BARE_ITEM = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"[a-z_]+"\s*:')


def dump_item_set(items: Sequence[Item], findings: Sequence[Finding] = (), *, indent: int | None = None) -> bytes:
    """Write Items and Findings as one canonical JSON document, in UTF-8."""
    return ItemSet(items=tuple(items), findings=tuple(findings)).model_dump_json(indent=indent).encode()


class CanonicalFormat:
    """The format `canonical`: nothing is lost and nothing is interpreted."""

    name = "canonical"
    media_type = "application/json"
    extension = ".json"
    reads = frozenset(ItemKind)
    writes = frozenset(ItemKind)

    def sniff(self, content: bytes) -> float:
        """Recognise the two keys of the document, or a bare Item by its `kind`, `patient` and `source`."""
        if _ITEM_SET.match(content):
            return 0.95
        if not _BARE_ITEM.match(content) or b'"resourceType"' in content[:2048]:
            return 0.0
        return 0.7 if all(key in content for key in (b'"kind"', b'"patient"', b'"source"')) else 0.0

    def read(self, content: bytes, context: ReadContext) -> Reading:
        """Validate the document; an Item that does not validate is a Finding, and the others are read.

        The Findings of the document are Findings of the Reading. A bare Item is accepted too.
        """
        check_values(content)
        whole = _read_whole(content)
        if whole is None:
            # Not from within the handler: the model's own exception quotes values, and would follow the FormatError.
            whole = _read_one_by_one(content)
        return Reading(
            items=whole.items,
            findings=whole.findings,
            message_type=whole.items[0].kind if whole.items else None,
            charset="utf-8",
        )

    def write(self, item: Item, context: WriteContext) -> Rendition:
        """Write a document that holds this Item alone."""
        content = b'{"items":[' + ITEM.dump_json(item) + b'],"findings":[]}'
        return Rendition(
            content=content, media_type=self.media_type, filename=safe_stem(context.identity) + self.extension
        )

    def positions(self, content: bytes) -> Sequence[Position]:
        """List the values with their JSON paths."""
        return json_positions.positions(content)

    def pieces(self, content: bytes) -> Sequence[Piece]:
        """Show the document key by key."""
        return json_positions.pieces(json_positions.load(content))


def _read_whole(content: bytes) -> ItemSet | None:
    try:
        return ItemSet.model_validate_json(content)
    except ValidationError:
        return None


def _read_one_by_one(content: bytes) -> ItemSet:
    json_positions.load(content)  # says where and why it is not JSON, when that is what is wrong
    document = from_json(content)
    if not isinstance(document, dict):
        raise FormatError("canonical.invalid", "content", "a canonical document is a JSON object")
    if "items" not in document and "kind" in document:
        raw_items: object = [document]
    else:
        raw_items = document.get("items", [])
        if not document.keys() <= {"items", "findings"}:
            raise FormatError("canonical.invalid", "content", "a canonical document has the keys items and findings")
    if not isinstance(raw_items, list):
        raise FormatError("canonical.invalid", "items", "items must be a list")
    items: list[Item] = []
    findings: list[Finding] = []
    for index, raw in enumerate(raw_items):
        try:
            items.append(ITEM.validate_python(raw))
        except ValidationError as problem:
            findings.extend(_findings(problem, f"items[{index}]", tagged=True))
    try:
        findings.extend(ItemSet.model_validate({"findings": document.get("findings") or []}).findings)
    except ValidationError as problem:
        findings.extend(_findings(problem, ""))
    if not items and findings:
        first = findings[0]
        raise FormatError("canonical.invalid", first.where, first.message)
    return ItemSet(items=tuple(items), findings=tuple(findings))


def _findings(problem: ValidationError, path: str, *, tagged: bool = False) -> list[Finding]:
    """Say what does not validate: the field and the rule, never the value. `tagged` paths begin with the kind."""
    return [
        Finding(
            severity=Severity.ERROR,
            code="canonical.invalid",
            where=(path + "".join(_step(step) for step in _known(error, tagged=tagged))).removeprefix("."),
            message=f"the canonical model does not allow this value ({error['type']})",
        )
        for error in problem.errors(include_input=False, include_url=False)
    ]


def _known(error: ErrorDetails, *, tagged: bool) -> tuple[int | str, ...]:
    """Give where it is; a key that the model does not know is named when it may be a name of the model, and no data."""
    steps = error["loc"][tagged:]
    if error["type"] == "extra_forbidden" and not _LIKE_A_NAME.fullmatch(str(steps[-1])):
        return steps[:-1]
    return steps


def _step(step: int | str) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{step}"


FORMAT: Format = CanonicalFormat()
