"""What all configuration models share: no unknown keys, no change, no silent conversion."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Strict

# Marks a field that changes how a stage runs, but not what it computes.
OPERATIONAL: dict[str, Any] = {"operational": True}

# YAML 1.1 reads 1e-4 (no dot) as a string; numbers therefore also come as text.
Number = Annotated[float, Strict(False)]


class StrictModel(BaseModel):
    """Base of every part of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def identity(self) -> dict[str, Any]:
        """The settings that decide what is computed."""
        return {
            name: getattr(self, name)
            for name, field in type(self).model_fields.items()
            if field.json_schema_extra != OPERATIONAL
        }
