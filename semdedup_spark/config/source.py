"""Where rows come from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from semdedup_spark.config.strict import StrictModel

CONTENT_HASH = "content_hash()"


class SourceConfig(StrictModel):
    """Where rows come from."""

    kind: Literal["text", "images", "vectors"]
    format: Literal["delta", "parquet", "jsonl", "csv", "files"] | None = None
    path: str | None = None
    table: str | None = None
    id: str | None = None
    content: str | None = None
    columns: list[str] | None = None
    options: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> SourceConfig:
        if (self.path is None) == (self.table is None):
            raise ValueError("must have either path (with format) or table, and not both")
        if self.table is not None and self.format is not None:
            raise ValueError("format goes with path; a table knows its own format")
        if self.columns is not None and len(set(self.columns)) != max(len(self.columns), 1):
            raise ValueError("columns must name at least one column, and each once")
        if self.options.get("mode", "").upper() == "DROPMALFORMED":
            raise ValueError("options.mode DROPMALFORMED would lose rows; leave it to quarantine")
        if self.path is not None and self.format is None:
            raise ValueError("path needs format: delta, parquet, jsonl, csv or files")
        if self.format == "files":
            if self.kind != "images":
                raise ValueError("format files holds images: kind must be images")
            if self.id is not None or self.content is not None:
                raise ValueError("format files needs no id and no content: the path is the id")
        elif self.id is None or self.content is None:
            raise ValueError(
                "must name the id column and the content column; where rows have no key, "
                f"id: {CONTENT_HASH} makes one from the content"
            )
        return self
