"""Stage ``select``: from ``scores`` to ``deduplicated`` and ``duplicates``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from semdedup_spark import schema as s
from semdedup_spark.pipeline.exclusive import exclusive
from semdedup_spark.pipeline.job_context import Job
from semdedup_spark.pipeline.observed import observe
from semdedup_spark.pipeline.own_columns import few
from semdedup_spark.pipeline.rows_as_embedded import all_rows_as_embedded, check_own_unchanged
from semdedup_spark.pipeline.stage_runner import StageResult, run_stage
from semdedup_spark.pipeline.stages.embed.embed import require_embed
from semdedup_spark.pipeline.stages.score import require_score
from semdedup_spark.pipeline.stages.select.chosen_eps import chosen_eps
from semdedup_spark.pipeline.stages.select.decisions import decisions
from semdedup_spark.pipeline.stages.select.golden import Golden, check_golden, read_golden
from semdedup_spark.pipeline.stages.select.kept import (
    check_kept,
    keep_view,
    prepare_kept,
    reconciled,
    write_kept,
)
from semdedup_spark.pipeline.stages.select.kept_apart import told_unsearched
from semdedup_spark.pipeline.stages.select.kept_changes import Kept
from semdedup_spark.pipeline.stages.select.links import links_above
from semdedup_spark.pipeline.stages.select.review import as_judged, rows_to_review
from semdedup_spark.pipeline.stages.select.select_guards import (
    check_guards,
    has_guards,
    measured_background,
)
from semdedup_spark.pipeline.stages.select.select_inputs import (
    check_select_columns,
    own_inputs,
)
from semdedup_spark.presets import PRESETS
from semdedup_spark.tables.catalog import read_table, table_exists
from semdedup_spark.tables.commits.write import Commit, replace_table
from semdedup_spark.tables.marks import StageMark
from semdedup_spark.tables.runs import StageRecord
from semdedup_spark.transforms.checkpoint import held
from semdedup_spark.transforms.select.agreement import (
    Agreement,
    agreement_values,
    shown_values,
)
from semdedup_spark.transforms.select.assignment import Decided, assignment_rows
from semdedup_spark.transforms.select.nearest import Agreeing, Nearest, nearest_rows
from semdedup_spark.transforms.select.resolve import (
    Case,
    Resolved,
    resolve_components,
    resolve_cover,
    resolve_paper,
)
from semdedup_spark.transforms.select.threshold import explained_rows, n_uncovered

_RESOLVE = {"paper": resolve_paper, "cover": resolve_cover, "components": resolve_components}
_GUARDS = "guards"


@exclusive
def run_select(
    job: Job,
    embed: StageRecord | None = None,
    score: StageRecord | None = None,
    *,
    guarded: bool = True,
) -> StageRecord:
    """Decide by the scores which rows are kept, and write the tables of the selection.

    Parameters
    ----------
    job
        The job. ``select.name`` says which selection this is.
    embed
        Record of the stage embed; by default it is looked up.
    score
        Record of the stage score; by default it is looked up.
    guarded
        Whether the guards may stop the selection. The ledger records where they were waived.

    Returns
    -------
    StageRecord
        Record of the stage.
    """
    select = job.config.select
    check_kept(job)
    if embed is None:  # else the stage embed has just checked the columns
        embed = require_embed(job)
        check_select_columns(job, embed)
    if score is None:
        score = require_score(job)
    golden = read_golden(select.golden) if guarded and select.golden is not None else None
    selecting = Selecting(job, embed, score, guarded, golden)
    inputs = own_inputs(job, score, embed)
    if not guarded:
        inputs[_GUARDS] = "waived"
    inputs |= {} if golden is None else golden.as_input()
    stage = s.selection_stage(select.name)
    record = run_stage(job, stage, select.identity(), inputs, selecting.compute)
    if record.reused and not job.dry_run:
        keep_view(job, embed, record)
    return record


@dataclass(frozen=True)
class Selecting:
    """One selection that is being made.

    Attributes
    ----------
    job
        The job.
    embed
        Record of the stage embed.
    score
        Record of the stage score.
    guarded
        Whether the guards may stop the selection.
    golden
        The pairs that are one of these guards, if there are any.
    """

    job: Job
    embed: StageRecord
    score: StageRecord
    guarded: bool
    golden: Golden | None

    @cached_property
    def own(self) -> DataFrame:
        """Columns id and source of all rows: what the source lacks now is found here.

        Returns
        -------
        DataFrame
            As :func:`all_rows_as_embedded`.
        """
        return all_rows_as_embedded(self.job, self.embed)

    def compute(self, key: str) -> StageResult:
        """Decide which rows are removed, check the guards, and write the tables.

        Parameters
        ----------
        key
            Result key of the selection.

        Returns
        -------
        StageResult
            Versions of the tables, counts and measures.

        Notes
        -----
        What it calls raises ``GuardError`` where a guard stops the selection, ``HorizonError``
        where ``select.keep`` needs an eps beyond ``score.eps_max``, and ``ReconciliationError``
        where the counts do not add up.
        """
        job = self.job
        scores = self._read(s.SCORES, self.score)
        embeddings = self._read(s.EMBEDDINGS, self.embed)
        prepare_kept(job, self.embed, embeddings, lambda: self.own)
        eps = chosen_eps(job, scores)
        case = self._case(scores, embeddings, eps)
        resolved = _RESOLVE[job.config.select.resolution](case)
        parted = as_judged(job, case, resolved.removed)
        review = rows_to_review(job, case, parted.removed)
        removed = explained_rows(parted.removed, embeddings, eps)
        if review is not None and job.config.select.max_review is not None:
            review = held(review)  # the guard counts what is then written
        removed, checked = self._checked(removed, review, case)
        background = measured_background(job, self.score, embeddings, self.embed)
        protected = self._protected(resolved.protected, parted.saved)
        if protected is not None and review is not None:  # people may have called it a duplicate
            protected = protected.join(removed.select(s.ID), s.ID, "left_anti")
        outputs, counts = self._write(key, case, Resolved(removed, protected), review)
        unsearched = parted.unsearched
        if review is not None or job.config.select.resolution != "components":
            unsearched += case.nearest().unsearched
        counts |= {"unsearched": unsearched} if unsearched else {}
        return StageResult(outputs, counts | checked, {"eps": eps, **background})

    def _checked(
        self, removed: DataFrame, review: DataFrame | None, case: Case
    ) -> tuple[DataFrame, dict[str, int]]:
        """Raises :class:`GuardError`; returns the removed rows, and counts for the ledger."""
        select, counts = self.job.config.select, dict[str, int]()
        if not self.guarded or not (has_guards(select) or self.golden):
            return removed, counts
        removed = held(removed)
        by = self.own if select.max_removed_fraction_by else case.embeddings
        check_guards(select, removed, by, review)
        if self.golden is not None:
            counts = check_golden(self.job, self.golden, removed, case.embeddings)
        return removed, counts

    def _protected(self, agreed: DataFrame | None, apart: DataFrame | None) -> DataFrame | None:
        """The rows of ``protected``: those that an agreement saved, and those that people did."""
        shown = None if agreed is None else shown_values(agreed, self.own, self._agreements())
        if apart is None:
            return shown
        nothing = F.lit(None).cast("string")
        saved = apart.select("*", nothing.alias(s.VALUE), nothing.alias(s.OTHER_VALUE))
        return saved if shown is None else shown.unionByName(saved)

    def _read(self, table: str, made_by: StageRecord) -> DataFrame:
        return read_table(self.job.spark, self.job.root, table, made_by.outputs[table])

    def _case(self, scores: DataFrame, embeddings: DataFrame, eps: float) -> Case:
        job, values = self.job, None
        overrides = decisions(job, scores.schema[s.ID].dataType)
        if job.config.select.must_agree:
            values = agreement_values(self.own, self._agreements())
        across = job.config.score.recall != "cluster"

        def links() -> DataFrame:
            return links_above(job, self.embed, embeddings, eps)

        @cache
        def nearest() -> Nearest:
            agreeing = None if values is None else Agreeing(values, embeddings, across)
            found = nearest_rows(scores, agreeing, eps, job.config.select.review)
            return told_unsearched(job, found)

        # With a reference, neighbors are its rows. They are never removed, so there are no chains.
        chains = job.config.reference is None
        return Case(scores, embeddings, eps, across, links, nearest, overrides, values, chains)

    def _agreements(self) -> list[Agreement]:
        return [
            Agreement(asked.column, asked.pattern, None if name is None else PRESETS[name])
            for asked in self.job.config.select.must_agree
            for name in asked.preset or (None,)
        ]

    def _write(
        self, key: str, case: Case, resolved: Resolved, review: DataFrame | None
    ) -> tuple[dict[str, int], dict[str, int]]:
        job, counted = self.job, self.embed.counts
        name = job.config.select.name
        mark = StageMark(job.run_id, s.selection_stage(name), key)

        def store(df: DataFrame, table: str) -> Commit:
            return replace_table(df, job.root, s.of_selection(table, name), mark)

        def stored(table: str, version: int | None = None) -> DataFrame:
            return read_table(job.spark, job.root, s.of_selection(table, name), version)

        counted_rows = observe(job, resolved.removed, n_uncovered())
        removed = store(counted_rows.rows, s.DUPLICATES)
        duplicates = stored(s.DUPLICATES, removed.version)
        outputs, counts = {s.DUPLICATES: removed.version}, dict[str, int]()
        for table, some in ((s.PROTECTED, resolved.protected), (s.REVIEW, review)):
            if some is not None:
                written = store(some, table)
                outputs[table], counts[table] = written.version, written.rows
            elif table_exists(job.spark, job.root, s.of_selection(table, name)):
                # It is asked for no longer, as it was in an earlier selection.
                store(stored(table).limit(0), table)
        saved = stored(s.PROTECTED, outputs[s.PROTECTED]) if s.PROTECTED in outputs else None
        assigned = store(self._assignment(case, duplicates, saved), s.ASSIGNMENT)
        outputs[s.ASSIGNMENT] = assigned.version
        gone = few(duplicates.select(s.ID), removed.rows)
        kept = write_kept(job, Kept(self.embed, lambda: self.own, gone), mark, assigned.version)
        check_own_unchanged(job, self.embed)
        left = assigned.rows - removed.rows - counted["quarantined"]
        n_kept = left if kept.rows is None else kept.rows
        counts |= reconciled(counted["read"], n_kept, removed.rows, counted["quarantined"])
        counts |= counted_rows.counts_of(duplicates)
        named = {s.of_selection(t, name): version for t, version in outputs.items()}
        return {**named, **kept.outputs}, counts

    def _assignment(
        self, case: Case, duplicates: DataFrame, protected: DataFrame | None
    ) -> DataFrame:
        restored = None if case.overrides is None else case.ids(s.KEEP)
        quarantine = self._read(s.QUARANTINE, self.embed)
        return assignment_rows(
            Decided(case.scores, duplicates, quarantine, restored, protected, case.chains)
        )
