"""Rules of all configuration models: no unknown keys, no changes, no silent conversion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Strict

from semdedup_spark.masking import masked_settings

# Marks a field that changes how a stage runs, but not what it computes.
OPERATIONAL: dict[str, Any] = {"operational": True}

# Marks a field that was added after outputs were written. At its default it is not part of the
# identity, so that these outputs stay valid.
LATER: dict[str, Any] = {"later": True}

# YAML 1.1 reads 1e-4 (no dot) as a string, so a number may also arrive as text.
Number = Annotated[float, Strict(False)]


class StrictModel(BaseModel):
    """Base of every part of the configuration.

    Attributes
    ----------
    wording
        What a value must be, where its fields do not say so. See ``config/problems.py``.
    model_config
        Settings of pydantic.
    """

    wording: ClassVar[str] = ""
    # Errors and the text of a model must not quote a value: it may be a secret.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Fields as ``repr`` and ``str`` show them, with secrets masked.

        Yields
        ------
        tuple of (str, object)
            Name and value of a field.
        """
        values = masked_settings({str(k): v for k, v in super().__repr_args__() if k is not None})
        yield from values.items()

    def identity(self) -> dict[str, Any]:
        """Collect the settings that decide what is computed.

        Returns
        -------
        dict of str to object
            Settings by name, without operational ones and later ones at their default.
        """
        return {
            name: getattr(self, name)
            for name, field in type(self).model_fields.items()
            if field.json_schema_extra != OPERATIONAL
            and not (field.json_schema_extra == LATER and getattr(self, name) == field.default)
        }
