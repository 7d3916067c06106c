"""A whole job, and what its stages must agree on."""

from __future__ import annotations

from pydantic import model_validator

from semdedup_spark.config.embed import FITTING, TOWERS, EmbedConfig
from semdedup_spark.config.prune import PruneConfig
from semdedup_spark.config.select import SelectConfig
from semdedup_spark.config.source import CONTENT_HASH, SourceConfig
from semdedup_spark.config.stages import ClusterConfig, ScoreConfig
from semdedup_spark.config.strict import StrictModel
from semdedup_spark.sql_text import variable_in


class JobConfig(StrictModel):
    """A whole job: the top level of a job file.

    Attributes
    ----------
    output
        Directory or URI of all tables, or ``catalog.schema``.
    source
        Where rows come from.
    reference
        A second source. Rows similar to its rows are removed, and only those. ``None``: none.
    embed
        How rows become vectors.
    cluster
        How vectors are grouped.
    score
        How rows are compared.
    select
        Which rows are kept. Default: eps 0.05.
    prune
        The rule of ``semdedup prune``.
    """

    output: str
    source: SourceConfig
    reference: SourceConfig | None = None
    embed: EmbedConfig = EmbedConfig()
    cluster: ClusterConfig = ClusterConfig()
    score: ScoreConfig = ScoreConfig()
    select: SelectConfig = SelectConfig(eps=0.05)
    prune: PruneConfig = PruneConfig()

    @model_validator(mode="after")
    def _stages_agree(self) -> JobConfig:
        fitting = FITTING[self.source.kind]
        if self.embed.encoder not in fitting:
            raise ValueError(
                f"embed.encoder must be {' or '.join(fitting)} for "
                f"source.kind {self.source.kind}. Got {self.embed.encoder!r}"
            )
        self._check_reference()
        towers = TOWERS.get(self.source.kind, ())
        if self.embed.tower is not None and self.embed.tower not in towers:
            raise ValueError(
                f"embed.tower must be {' or '.join(towers)} for source.kind {self.source.kind}. "
                f"Got {self.embed.tower!r}"
            )
        if self.select.eps is not None and self.select.eps > self.score.eps_max:
            raise ValueError(
                f"select.eps must be <= score.eps_max ({self.score.eps_max}), the horizon up to "
                f"which scores are computed. Got {self.select.eps}; raise score.eps_max"
            )
        if self.select.review is not None and self.select.review > self.score.eps_max:
            raise ValueError(
                f"select.review must be <= score.eps_max ({self.score.eps_max}), the horizon up to "
                f"which scores are computed. Got {self.select.review}; raise score.eps_max"
            )
        if self.select.write == "view" and self.embed.copy_source is False:
            raise ValueError(
                "select.write view needs a copy of the source: the view shows the one in "
                "embeddings. Got embed.copy_source false; leave it out"
            )
        if self.select.write == "clone":
            self._check_clone()
        return self

    def _check_clone(self) -> None:
        """A clone has all columns, under their names, and knows rows by an id in one of them."""
        source = self.source
        if source.table is None and source.format != "delta":
            raise ValueError(
                "select.write clone needs a Delta source: source.table, or source.format delta. "
                f"Got {source.format!r}"
            )
        if source.columns is not None:
            raise ValueError(
                "select.write clone needs source.columns null: a clone has all columns of the "
                "source. For some of them set select.write table"
            )
        if source.id == CONTENT_HASH:
            raise ValueError(
                "select.write clone needs a column of ids as source.id, by which rows of the "
                f"source are left out. Got {source.id!r}"
            )
        if variable_in(source.id or ""):
            raise ValueError(
                f"with select.write clone source.id must hold no {variable_in(source.id or '')}: "
                "Spark puts a setting or a variable of the environment there"
            )

    def _check_reference(self) -> None:
        if self.reference is None:
            return
        if self.reference.kind != self.source.kind:
            raise ValueError(
                f"reference.kind must be that of source, {self.source.kind}: their vectors are "
                f"compared. Got {self.reference.kind!r}"
            )
        if self.select.resolution != "paper" or self.select.must_agree:
            raise ValueError(
                "with a reference select.resolution must be paper, and select.must_agree empty: "
                "neighbors are rows of the reference"
            )
