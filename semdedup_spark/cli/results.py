"""What a command prints after a job has run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semdedup_spark.report.terminal import open_console, print_line

if TYPE_CHECKING:
    from semdedup_spark.pipeline import Job, JobSummary


def print_result(job: Job, summary: JobSummary) -> None:
    """Print row counts, the kept curve, where the tables are, and a query to start with.

    Parameters
    ----------
    job
        Job that has run.
    summary
        What the run did.
    """
    from semdedup_spark import schema as s
    from semdedup_spark.pipeline import DRIFT_BOUND
    from semdedup_spark.pipeline.queries.summary import kept_curve, quarantine_reasons
    from semdedup_spark.report.console import print_next, print_summary

    console = open_console()
    counts = {name: getattr(summary, name) for name in ("read", "kept", "removed", "quarantined")}
    print_summary(
        console,
        counts=counts,
        eps=summary.eps,
        curve=kept_curve(job, summary.eps),
        reasons=quarantine_reasons(job) if summary.quarantined else [],
    )
    name = job.config.select.name
    tables = [t for t in s.COMMENTS if t not in (*s.OF_SELECTION, s.OVERRIDES, s.PRUNING, s.LEASES)]
    tables += [s.of_selection(t, name) for t in (s.DUPLICATES, s.DEDUPLICATED)]
    places = {table: job.root.name(table) for table in tables}
    query = (
        f"SELECT survivor_id, count(*) AS copies, min(survivor_similarity) AS least_similar\n"
        f"FROM {job.root.name(s.of_selection(s.DUPLICATES, name))} "
        "WHERE survivor_id IS NOT NULL\n"
        f"GROUP BY survivor_id ORDER BY copies DESC LIMIT 10"
    )
    print_next(console, places, query)
    if summary.stale:
        stale = ", ".join(summary.stale)
        print_line(
            console,
            f"\nnot updated, because their settings no longer fit: {stale}. They may hold rows "
            "that no longer exist. Select them with other settings, or drop them.",
        )
    if summary.cost_drift > DRIFT_BOUND:
        console.print(
            f"\nRows have changed since the centroids were trained. Scoring all rows would cost "
            f"{summary.cost_drift:.1f} times as much as with new centroids. `semdedup recluster` "
            "trains new ones."
        )
