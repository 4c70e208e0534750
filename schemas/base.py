"""The base of every canonical model and the textual types they share.

Dates and decimals stay text: a precision that the sender chose ("1979-03", "12.50") is part of the
information, and a float or a datetime would lose it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, StringConstraints

PARTIAL_DATE_TIME = re.compile(r"^\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?)?)?)?$")
"""ISO 8601, cut at any precision from the year to the microsecond; a zone only where there is a time."""

DECIMAL = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$")
"""A decimal number with a point, as text; trailing zeros are kept because they state a precision."""

PartialDate = Annotated[str, StringConstraints(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$")]
"""`YYYY`, `YYYY-MM` or `YYYY-MM-DD`. The day is not checked against the calendar: lunar dates exist (RNIV)."""

PartialDateTime = Annotated[str, StringConstraints(pattern=PARTIAL_DATE_TIME.pattern)]
"""`PartialDate`, or a time of day with its UTC offset: readers add the zone of the sender's legal time."""

DecimalText = Annotated[str, StringConstraints(pattern=DECIMAL.pattern)]
"""A decimal as text, always with a point."""

Base64Text = str
"""Base64 without line breaks. Not checked on the hot path: readers make it with the standard library."""


class Frozen(BaseModel):
    """An immutable canonical model; unknown fields are an error, so that a typing mistake is seen."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", str_strip_whitespace=False)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Give a copy with some fields replaced, unchecked: pydantic's own, without what only other models need.

        Canonical models have neither extra fields nor private attributes, and are copied for each result of each
        report: pydantic looks for both, and copies each mapping apart.
        """
        if deep:
            return super().model_copy(update=update, deep=True)
        copied = type(self).__new__(type(self))
        put = object.__setattr__
        if update:
            put(copied, "__dict__", {**self.__dict__, **update})
            put(copied, "__pydantic_fields_set__", self.__pydantic_fields_set__.union(update))
        else:
            put(copied, "__dict__", self.__dict__.copy())
            put(copied, "__pydantic_fields_set__", self.__pydantic_fields_set__.copy())
        put(copied, "__pydantic_extra__", None)
        put(copied, "__pydantic_private__", None)
        return copied
