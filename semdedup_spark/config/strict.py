"""Rules of all configuration models: no unknown keys, no changes, no silent conversion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, get_args

import numpy as np
from pydantic import (
    AllowInfNan,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Strict,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from semdedup_spark.masking import masked_settings

# Marks a field that changes how a stage runs, but not what it computes.
OPERATIONAL: dict[str, Any] = {"operational": True}

# Marks a field that was added after outputs were written. At its default it is not part of the
# identity, so that these outputs stay valid.
LATER: dict[str, Any] = {"later": True}

# Limits of keys that have none of their own, beyond what anybody needs: numpy, Spark and timers do
# not take larger numbers.
MOST, MOST_SECONDS, MOST_MB = 10**9, 1e9, 2**20
MOST_SEED = 2**63 - 2  # a bigint, also when 1 is added

_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
# Type and text of an error. People read config/problems.py's message in its place.
_NO_NUMBER = ("no_number", "Input should be a number")


def _plain_number(value: Any) -> Any:
    """Refuse what Python converts to a number and a person does not: true, 1_0, nan."""
    odd = isinstance(value, str) and not _DECIMAL.fullmatch(value)
    if odd or isinstance(value, bool | np.bool_ | bytes):
        raise PydanticCustomError(*_NO_NUMBER)
    return value


# YAML 1.1 reads 1e-4 (no dot) as a string, so a number may also arrive as text. No key has a
# meaning at infinity.
Number = Annotated[float, Strict(False), AllowInfNan(False), BeforeValidator(_plain_number)]


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

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """In Python True equals 1, so that pydantic finds it in ``Literal[1, 2]``."""
        if isinstance(value, bool | np.bool_):
            kinds = _members(cls.model_fields[str(info.field_name)].annotation)
            if bool not in kinds and any(isinstance(kind, int) for kind in kinds):
                raise PydanticCustomError(*_NO_NUMBER)
        return value

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


def later_defaults(settings: StrictModel) -> dict[str, Any]:
    """Collect what the later settings are where a record of the settings does not name them.

    Parameters
    ----------
    settings
        Any settings.

    Returns
    -------
    dict of str to object
        The default of each later setting, by its name.
    """
    fields = type(settings).model_fields.items()
    return {name: field.default for name, field in fields if field.json_schema_extra == LATER}


def _members(kind: Any) -> list[Any]:
    """The types of a union, and the values of a literal."""
    inner = get_args(kind)
    return [each for member in inner for each in _members(member)] if inner else [kind]
