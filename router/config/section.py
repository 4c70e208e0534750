"""What every section of the configuration is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of the sections: frozen, and a key that does not exist is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
