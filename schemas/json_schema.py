"""The JSON Schema of what `convert --to canonical` prints."""

from __future__ import annotations

from pydantic import JsonValue

from schemas.item import ItemSet

SCHEMA_ID = "https://passerelle.example/schema/item-set.json"


def json_schema() -> dict[str, JsonValue]:
    """Give the JSON Schema (draft 2020-12) of an ItemSet; its descriptions are the models' docstrings."""
    schema = ItemSet.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}
