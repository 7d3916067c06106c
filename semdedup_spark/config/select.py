"""Selection: which rows are kept, and what protects them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from semdedup_spark.config.strict import Number, StrictModel

# Catalogs fold the case of table names; paths do not.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class MustAgree(StrictModel):
    """What a row must share with the row that it would be removed for: the value of a column, or
    what a Java regular expression finds in it, in any order; Spark checks it before any work.
    """

    wording: ClassVar[str] = "the name of a column, or {column: its name, pattern: text or null}"
    column: str
    pattern: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_column(cls, given: Any) -> Any:
        return {"column": given} if isinstance(given, str) else given


Fraction = Annotated[Number, Field(ge=0, le=1)]


class SelectConfig(StrictModel):
    """Which rows are kept. Without either key: eps 0.05."""

    eps: Number | None = Field(default=None, gt=0, lt=1)
    keep: Number | None = Field(default=None, gt=0, lt=1)
    resolution: Literal["paper", "cover", "components"] = "paper"
    name: str | None = None
    must_agree: list[MustAgree] = Field(default_factory=list)
    max_removed_fraction: Fraction | None = None
    max_removed_fraction_by: dict[str, Fraction] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _default_eps(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("eps") is None and given.get("keep") is None:
            return {**given, "eps": 0.05}
        return given

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str | None) -> str | None:
        if name is not None and not _NAME.fullmatch(name):
            raise ValueError(
                "must be lower-case letters, digits and _, a letter first, at most 64: it ends "
                f"the names of the tables. Got {name!r}"
            )
        return name

    @model_validator(mode="after")
    def _one_rule(self) -> SelectConfig:
        if self.eps is not None and self.keep is not None:
            raise ValueError("must have eps or keep, not both")
        if self.keep is not None and self.resolution != "paper":
            raise ValueError(
                "keep must go with resolution paper: how many rows another resolution keeps is "
                f"known only once it is made. Got {self.resolution!r}; set eps"
            )
        return self

    @property
    def patterns(self) -> tuple[str, ...]:
        """Regular expressions that Spark must understand."""
        return tuple(a.pattern for a in self.must_agree if a.pattern is not None)

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """Columns of the source that it needs, by the key that names them."""
        agreeing = tuple(agreement.column for agreement in self.must_agree)
        return {
            "select.must_agree": agreeing,
            "select.max_removed_fraction_by": tuple(self.max_removed_fraction_by),
        }
