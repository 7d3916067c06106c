"""Job configuration: one frozen model per stage, loaded strictly from YAML.

Fields marked operational change how a stage runs but not what it computes; a stage's output stays
valid when only they change.
"""

from semdedup_spark.config.embed import EmbedConfig
from semdedup_spark.config.job import JobConfig
from semdedup_spark.config.loading import (
    canonical_json,
    checked_stage,
    fingerprint,
    load_config,
    parse_config,
    plain_settings,
)
from semdedup_spark.config.prune import PruneConfig
from semdedup_spark.config.select import SelectConfig
from semdedup_spark.config.source import CONTENT_HASH, SourceConfig
from semdedup_spark.config.stages import ClusterConfig, ProbeBudget, ScoreConfig
from semdedup_spark.config.strict import later_defaults

__all__ = [
    "CONTENT_HASH",
    "ClusterConfig",
    "EmbedConfig",
    "JobConfig",
    "ProbeBudget",
    "PruneConfig",
    "ScoreConfig",
    "SelectConfig",
    "SourceConfig",
    "canonical_json",
    "checked_stage",
    "fingerprint",
    "later_defaults",
    "load_config",
    "parse_config",
    "plain_settings",
]
