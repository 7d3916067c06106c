"""Selection: which rows are kept, and what protects them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from semdedup_spark.config.strict import LATER, MOST, Number, StrictModel
from semdedup_spark.presets import PRESETS

# Lower case only: catalogs ignore the case of table names, paths do not.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class MustAgree(StrictModel):
    """What a row must share with the row that it would be removed for.

    It is the value of a column, or all that a Java regular expression or a preset finds in it, in
    any order. Spark checks the expression before any work.

    Attributes
    ----------
    wording
        What a value must be, for error messages.
    column
        Column of the source.
    pattern
        Java regular expression. ``None``: the whole value, if there is no preset either.
    preset
        Names of presets, in place of a pattern. Each is an agreement of its own. ``None``: none.
    """

    wording: ClassVar[str] = (
        "the name of a column, or {column: its name, pattern: text or null}, or {column: its name, "
        "preset: one or a list}"
    )
    column: str
    pattern: str | None = None
    preset: list[str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_column(cls, given: Any) -> Any:
        return {"column": given} if isinstance(given, str) else given

    @field_validator("preset", mode="before")
    @classmethod
    def _known_presets(cls, given: Any) -> Any:
        names = [given] if isinstance(given, str) else given
        if names is None:
            return None
        known = isinstance(names, list) and all(isinstance(n, str) and n in PRESETS for n in names)
        if not known or not 0 < len(names) == len(set(names)):
            raise ValueError(
                f"must be one of {', '.join(PRESETS)}, or a list of these, each once. Got {given!r}"
            )
        return names

    @model_validator(mode="after")
    def _pattern_or_preset(self) -> MustAgree:
        if self.pattern is not None and self.preset is not None:
            raise ValueError(
                "must have pattern or preset, not both; name the column twice for both"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_no_preset(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Releases before 0.3 knew no presets: what was selected without one keeps its identity."""
        settings: dict[str, Any] = plain(self)
        if self.preset is None:
            settings.pop("preset", None)
        return settings


Fraction = Annotated[Number, Field(ge=0, le=1)]


class SelectConfig(StrictModel):
    """Which rows are kept: the key ``select`` of a job file. Without eps and keep: eps 0.05.

    Attributes
    ----------
    eps
        Threshold in (0, 1): rows with a similarity above 1 - eps to an earlier row are removed.
    keep
        Fraction of rows to keep, in (0, 1), instead of ``eps``.
    resolution
        ``paper``, ``cover`` or ``components``: which rows of a group stay.
    name
        Name of a selection beside the main one. ``None``: the main one.
    must_agree
        What a removed row must share with its neighbor. Default: nothing.
    max_removed_fraction
        Share in [0, 1]. A selection that would remove more is stopped. ``None``: no limit.
    max_removed_fraction_by
        The same limit for each value of a column, by the column's name.
    golden
        CSV file of pairs that must be merged, or must stay apart. ``None``: none.
    write
        ``table``: the kept rows become the table ``deduplicated``. ``clone``: a clone of a
        Delta source that leaves the other rows out, and in a catalog a view ``deduplicated`` of it.
        ``view``: a view of that name shows them. ``none``: nothing; ``assignment`` says which they
        are.
    review
        A larger threshold. Rows between it and ``eps`` are kept, and listed for people to judge.
        ``None``: none are.
    max_review
        Number of rows. A selection that would list more of them is stopped. ``None``: no limit.
    """

    eps: Number | None = Field(default=None, gt=0, lt=1)
    keep: Number | None = Field(default=None, gt=0, lt=1)
    resolution: Literal["paper", "cover", "components"] = "paper"
    name: str | None = None
    must_agree: list[MustAgree] = Field(default_factory=list)
    max_removed_fraction: Fraction | None = None
    max_removed_fraction_by: dict[str, Fraction] = Field(default_factory=dict)
    golden: str | None = Field(default=None, min_length=1, json_schema_extra=LATER)
    write: Literal["table", "clone", "view", "none"] = Field(
        default="table", json_schema_extra=LATER
    )
    review: Number | None = Field(default=None, gt=0, lt=1, json_schema_extra=LATER)
    max_review: int | None = Field(default=None, ge=0, le=MOST, json_schema_extra=LATER)

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

    @model_validator(mode="after")
    def _review_above_eps(self) -> SelectConfig:
        if self.review is None:
            if self.max_review is not None:
                raise ValueError("max_review must go with review: it limits the rows listed there")
            return self
        if self.eps is None:
            raise ValueError("review must go with eps, not keep: it lists rows beyond eps")
        if self.review <= self.eps:
            raise ValueError(
                f"review must be greater than eps ({self.eps}): it lists rows between the two. "
                f"Got {self.review}"
            )
        return self

    @property
    def patterns(self) -> tuple[str, ...]:
        """Regular expressions that Spark must be able to compile."""
        return tuple(a.pattern for a in self.must_agree if a.pattern is not None)

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """Columns of the source that the selection needs, by the key that names them."""
        agreeing = tuple(agreement.column for agreement in self.must_agree)
        return {
            "select.must_agree": agreeing,
            "select.max_removed_fraction_by": tuple(self.max_removed_fraction_by),
        }
