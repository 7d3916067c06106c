"""What the last run tells of a source, so that this one need not read all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.pipeline.identity import key_beside
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.own_columns import facts_of, few
from semdedup_spark.pipeline.stage_runner import has_output, software_versions
from semdedup_spark.schema import ERASED
from semdedup_spark.sources.candidate_rows import SourceFacts
from semdedup_spark.sources.source_growth import Earlier
from semdedup_spark.tables.catalog import read_table, table_exists
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.visible import masked_repr

# Rows with these reasons may be good when they are tried again.
_TRIED_AGAIN = ("decode_timeout", "unstable_payload")


@masked_repr
@dataclass(frozen=True)
class LastVersion:
    """The version of a source that was embedded last, as the ledger tells of it.

    Attributes
    ----------
    job
        The job.
    stage
        Name of the stage.
    table
        Table of its embeddings.
    quarantine
        Table of its rejected rows.
    settings
        The settings that decide its embeddings.
    inputs
        Returns the inputs of the stage for a fingerprint of the source.
    """

    job: Job
    stage: str
    table: str
    quarantine: str
    settings: Mapping[str, Any]
    inputs: Callable[[str], Mapping[str, str]]

    @cached_property
    def _record(self) -> StageRecord | None:
        """Record of the last run, if it read its version in the same way. The ledger is read under
        the lease, which a first run takes later: a source that is refused leaves no trace.
        """
        job = self.job
        if not table_exists(job.spark, job.root, s.RUNS):
            return None
        job.begin()
        last = job.ledger.last(self.stage)
        # Rows that were forgotten are no longer counted, but the source has them.
        if last is None or "unique_ids" not in last.counts or last.counts.get(ERASED):
            return None
        inputs = dict(self.inputs(last.inputs["source"]))
        same_way = last.result_key == key_beside(last, self.settings, inputs)
        return last if same_way else None

    def facts(self, fingerprint: str) -> SourceFacts | None:
        """Tell what counting a version told.

        Parameters
        ----------
        fingerprint
            Fingerprint of the version.

        Returns
        -------
        SourceFacts | None
            ``None`` for all versions but the last.
        """
        last = self._record
        if last is None or last.inputs["source"] != fingerprint:
            return None
        return facts_of(last)

    def earlier(self) -> Earlier | None:
        """Describe the version, if rows can be added to what was made of it.

        Returns
        -------
        Earlier | None
            ``None`` where all rows must be compared with those of then.
        """
        last = self._record
        if last is None or "schema" not in last.counts or not last.counts["embedded"]:
            return None
        # Another release may judge a row otherwise, and a killed erasure has not counted yet.
        if not last.counts["unique_ids"] or last.software != software_versions():
            return None
        if not has_output(self.job, last) or any(map(self._has_erased, last.outputs)):
            return None
        return Earlier(
            last.inputs["source"],
            facts_of(last),
            last.counts["embedded"],
            last.counts["schema"],
            self._may_add,
        )

    def _has_erased(self, table: str) -> bool:
        state = self.job.state(table)
        return state is None or state.mark.rows.erased > 0

    def _may_add(self, ids: DataFrame, n: int) -> bool:
        spark, root = self.job.spark, self.job.root
        known = read_table(spark, root, self.table).select(s.ID)
        rejected = read_table(spark, root, self.quarantine)
        if known.schema[s.ID].dataType != ids.schema[s.ID].dataType:
            return False
        if rejected.filter(F.col(s.REASON).isin(*_TRIED_AGAIN)).head(1):
            return False
        both = known.union(rejected.select(s.ID))
        return not both.join(few(ids, n), s.ID, "left_semi").head(1)
