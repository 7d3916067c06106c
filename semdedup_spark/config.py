"""Job configuration: one frozen model per stage, loaded strictly from YAML.

Fields marked ``operational`` change how a stage runs but not what it computes; a stage's output
stays valid when only they change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    field_validator,
    model_validator,
)

from semdedup_spark.errors import ConfigError, did_you_mean
from semdedup_spark.rank_by import parse_rank_by

_OPERATIONAL: dict[str, Any] = {"operational": True}
CONTENT_HASH = "content_hash()"

# YAML 1.1 reads 1e-4 (no dot) as a string; numbers therefore also come as text.
Number = Annotated[float, Strict(False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def identity(self) -> dict[str, Any]:
        """The settings that decide what is computed."""
        return {
            name: getattr(self, name)
            for name, field in type(self).model_fields.items()
            if field.json_schema_extra != _OPERATIONAL
        }


class SourceConfig(_Strict):
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


class EmbedConfig(_Strict):
    """How rows become vectors."""

    encoder: Literal["minilm", "pixels", "none"] = "minilm"
    model: str | None = None
    max_length: int = Field(default=256, ge=8)
    image_size: int = Field(default=32, ge=1, le=1024)
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", json_schema_extra=_OPERATIONAL)
    batch_size: int = Field(default=32, ge=1, json_schema_extra=_OPERATIONAL)
    commit_seconds: Number = Field(default=60.0, gt=0, json_schema_extra=_OPERATIONAL)


class ClusterConfig(_Strict):
    """How vectors are grouped."""

    n_clusters: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    seed: int = Field(default=0, ge=0)
    sample_per_cluster: int = Field(default=256, ge=1)
    sample_memory_mb: int = Field(default=1024, ge=1)
    max_iterations: int = Field(default=20, ge=0)
    tolerance: Number = Field(default=1e-4, ge=0)


class ProbeBudget(_Strict):
    """At most so many other clusters that a row visits, nearest border first."""

    probes: int = Field(ge=0)


class ScoreConfig(_Strict):
    """How rows are compared."""

    rank_by: str = "low"
    recall: Literal["cluster", "exact"] | ProbeBudget = "cluster"
    eps_max: Number = Field(default=0.3, gt=0, lt=1)
    seed: int = Field(default=0, ge=0)
    unit_memory_mb: int = Field(default=256, ge=1, json_schema_extra=_OPERATIONAL)
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", json_schema_extra=_OPERATIONAL)

    @field_validator("rank_by")
    @classmethod
    def _check_rank_by(cls, rank_by: str) -> str:
        parse_rank_by(rank_by)
        return rank_by


class SelectConfig(_Strict):
    """Which rows are kept. Without either key: eps 0.05."""

    eps: Number | None = Field(default=None, gt=0, lt=1)
    keep: Number | None = Field(default=None, gt=0, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _default_eps(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("eps") is None and given.get("keep") is None:
            return {**given, "eps": 0.05}
        return given

    @model_validator(mode="after")
    def _one_rule(self) -> SelectConfig:
        if self.eps is not None and self.keep is not None:
            raise ValueError("must have eps or keep, not both")
        return self


class JobConfig(_Strict):
    """A whole job."""

    output: str
    source: SourceConfig
    embed: EmbedConfig = EmbedConfig()
    cluster: ClusterConfig = ClusterConfig()
    score: ScoreConfig = ScoreConfig()
    select: SelectConfig = SelectConfig(eps=0.05)

    @model_validator(mode="after")
    def _stages_agree(self) -> JobConfig:
        fitting = {"text": ("minilm",), "images": ("pixels",), "vectors": ("none",)}
        if self.embed.encoder not in fitting[self.source.kind]:
            raise ValueError(
                f"embed.encoder must be {' or '.join(fitting[self.source.kind])} for "
                f"source.kind {self.source.kind}. Got {self.embed.encoder!r}"
            )
        if self.select.eps is not None and self.select.eps > self.score.eps_max:
            raise ValueError(
                f"select.eps must be <= score.eps_max ({self.score.eps_max}), the horizon up to "
                f"which scores are computed. Got {self.select.eps}; raise score.eps_max"
            )
        return self


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> JobConfig:
    """Read a YAML job file and apply ``key.path=value`` overrides (values are YAML).

    Raises :class:`ConfigError` naming every wrong key, what it must be, and what was got.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"--config must be a readable YAML file in UTF-8. Got {str(path)!r}: {error}.",
            hint="conf/local.yml is an example to start from.",
        ) from error
    try:
        tree = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} must be valid YAML. Got: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must be a mapping of keys. Got a {type(tree).__name__}.")
    for override in overrides:
        _apply(tree, override)
    return parse_config(tree)


def parse_config(tree: Mapping[str, Any]) -> JobConfig:
    """Validate a nested mapping. Raises :class:`ConfigError`."""
    try:
        return JobConfig.model_validate(dict(tree))
    except ValidationError as error:
        messages, hints = [], []
        for problem in error.errors():
            message, hint = _explain(problem)
            messages.append(message)
            hints += [hint] if hint else []
        raise ConfigError("\n".join(messages), hint=" ".join(dict.fromkeys(hints))) from error


def canonical_json(tree: Any) -> str:
    """One text for one set of settings, whatever the order of the keys."""
    return json.dumps(tree, sort_keys=True, default=lambda model: model.model_dump())


def fingerprint(tree: Any) -> str:
    """SHA-256 of :func:`canonical_json`, in hex."""
    return hashlib.sha256(canonical_json(tree).encode()).hexdigest()


def _apply(tree: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise ConfigError(
            f"--set must be key.path=value. Got {override!r}.", hint="--set select.eps=0.1"
        )
    *parents, leaf = key.split(".")
    node = tree
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {key}: {parent} holds the value {child!r}, not keys.")
        node = child
    try:
        node[leaf] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {key} must have a YAML value. Got {value!r}.") from error
    if leaf in ("eps", "keep") and parents == ["select"]:  # the later of the two rules wins
        node.pop({"eps": "keep", "keep": "eps"}[leaf], None)


def _explain(problem: Any) -> tuple[str, str]:
    """One line for one pydantic error, and a hint where there is one."""
    path = [str(step) for step in problem["loc"] if not _is_union_step(step)]
    name = ".".join(path) or "the configuration"
    if problem["type"] == "extra_forbidden":
        known = _fields_at(path[:-1])
        return (
            f"{name} is not a known key. Known keys here: {', '.join(known)}.",
            did_you_mean(path[-1], known),
        )
    if problem["type"] == "missing":
        return f"{name} must be set.", "conf/base.yml lists every key with its meaning."
    must = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if problem["type"] == "value_error":
        return f"{name}: {must}.", ""
    return f"{name} must be {must}. Got {problem['input']!r} instead.", ""


def _is_union_step(step: Any) -> bool:
    # pydantic adds the union member it tried, such as "int" or "literal['auto']", to the path.
    return isinstance(step, str) and (step in ("int", "str") or "[" in step)


def _fields_at(path: Sequence[str]) -> list[str]:
    model: Any = JobConfig
    for step in path:
        field = model.model_fields.get(step)
        model = field.annotation if field else None
        if model is None or not hasattr(model, "model_fields"):
            return []
    return list(model.model_fields)
