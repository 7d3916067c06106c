"""What all configuration models share: no unknown keys, no change, no silent conversion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Strict

from semdedup_spark.masking import masked_settings

# Marks a field that changes how a stage runs, but not what it computes.
OPERATIONAL: dict[str, Any] = {"operational": True}

# Marks a field that came after outputs were written: at its default it is no part of the identity,
# so that these stay valid.
LATER: dict[str, Any] = {"later": True}

# YAML 1.1 reads 1e-4 (no dot) as a string; numbers therefore also come as text.
Number = Annotated[float, Strict(False)]


class StrictModel(BaseModel):
    """Base of every part of the configuration."""

    # What a value must be, where that is not told by the fields; see config/wording.py.
    wording: ClassVar[str] = ""
    # Neither the text of an error nor that of a model quotes what may be a secret.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What ``repr`` and ``str`` show."""
        values = masked_settings({str(k): v for k, v in super().__repr_args__() if k is not None})
        yield from values.items()

    def identity(self) -> dict[str, Any]:
        """The settings that decide what is computed."""
        return {
            name: getattr(self, name)
            for name, field in type(self).model_fields.items()
            if field.json_schema_extra != OPERATIONAL
            and not (field.json_schema_extra == LATER and getattr(self, name) == field.default)
        }
