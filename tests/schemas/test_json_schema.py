from __future__ import annotations

import json

from schemas.json_schema import json_schema


def test_the_schema_describes_every_kind_and_is_plain_json() -> None:
    schema = json_schema()
    assert json.loads(json.dumps(schema)) == schema
    definitions = schema["$defs"]
    assert isinstance(definitions, dict)
    assert {"LabReportItem", "StayItem", "IdentityItem", "DocumentItem", "NoteItem", "ReceiptItem", "Finding"} <= set(
        definitions
    )
    assert schema["title"] == "ItemSet"
