"""What a command prints after a job has run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from semdedup_spark.masking import MASK, masked, masked_tree
from semdedup_spark.report.terminal import open_console, print_line

if TYPE_CHECKING:
    from rich.console import Console

    from semdedup_spark.pipeline import Job, JobSummary

# Where the kept rows are, by select.write.
_KEPT_IN = {
    "table": "table deduplicated",
    "view": "view deduplicated",
    "clone": "a clone of the source",
    "none": "table assignment, where kept",
}


def print_result(
    job: Job,
    summary: JobSummary,
    config: str,
    overrides: Sequence[str] = (),
    *,
    n_examples: int = 3,
) -> None:
    """Print row counts, the kept curve, some removals, where the tables are, and what to do next.

    Parameters
    ----------
    job
        Job that has run.
    summary
        What the run did.
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings that were given with it.
    n_examples
        Number of removals to show beside their survivors, at most.
    """
    from semdedup_spark import schema as s
    from semdedup_spark.pipeline.queries.selections import edge_removals, require_selection
    from semdedup_spark.pipeline.queries.summary import kept_curve, quarantine_reasons
    from semdedup_spark.pipeline.stages.select.decisions import count_decisions
    from semdedup_spark.report.console import print_examples, print_next, print_summary
    from semdedup_spark.schema.comments import COMMENTS

    console = open_console()
    counts = {name: getattr(summary, name) for name in ("read", "kept", "removed", "quarantined")}
    name = job.config.select.name
    selected = next(r for r in summary.records if r.stage == s.selection_stage(name))
    counts |= {
        n: selected.counts[n] for n in ("uncovered", "unsearched", s.REVIEW) if n in selected.counts
    }
    print_summary(
        console,
        counts=counts,
        eps=summary.eps,
        curve=kept_curve(job, summary.eps),
        reasons=quarantine_reasons(job) if summary.quarantined else [],
        overrides=count_decisions(job),
        kept_in=_KEPT_IN[job.config.select.write],
    )
    if summary.removed and n_examples:
        title = "removed (-) beside its survivor (+): those that were only just similar enough"
        examples = edge_removals(job, require_selection(job), n=n_examples)
        print_examples(console, title, examples)
    hidden = (*s.OF_SELECTION, *s.BY_PEOPLE, s.PRUNING, s.LEASES)
    tables = [t for t in COMMENTS if t not in hidden]
    kept = [s.DEDUPLICATED] if job.config.select.write in ("table", "view") else []
    listed = [s.REVIEW] if s.REVIEW in counts else []
    tables += [s.of_selection(t, name) for t in (s.DUPLICATES, *kept, s.ASSIGNMENT, *listed)]
    tables += [clone for clone in s.clones_of(name) if clone in selected.outputs]
    places = {table: job.root.name(table) for table in tables}
    print_next(console, places, next_commands(config, overrides, name))
    _print_warnings(console, summary)


def _print_warnings(console: Console, summary: JobSummary) -> None:
    from semdedup_spark.pipeline import DRIFT_BOUND

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


def next_commands(config: str, overrides: Sequence[str], name: str | None) -> list[str]:
    """Write the commands that a person may want after a run, ready for a shell.

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings that were given with it. What may be a secret is masked.
    name
        Name of the selection; ``None`` for the main one.

    Returns
    -------
    list of str
        The commands.
    """
    from semdedup_spark import schema as s

    settings = [word for each in overrides for word in ("--set", _repeated(each))]
    job = shlex.join(["--config", masked(config), *settings])
    named = f" --name {name}" if name else ""
    query = (
        f"SELECT survivor_id, copies FROM {s.of_selection(s.ASSIGNMENT, name)} "
        "WHERE kept ORDER BY copies DESC LIMIT 10"
    )
    return [
        f"semdedup tune {job}",
        f"semdedup explain {job} --sample 5{named}",
        f"semdedup report {job} --out report.html{named}",
        f'semdedup sql {job} "{query}"',
    ]


def _repeated(override: str) -> str:
    """An override as it may be printed. Its value is judged before a shell's quotes are around it,
    and as YAML reads it.
    """
    from semdedup_spark.config.loading import with_overrides

    tree = with_overrides({}, [override])
    is_open = masked(override) == override and masked_tree(tree) == tree
    if is_open and "options" not in override:  # an option may hold a secret
        return override
    return f"{override.partition('=')[0]}={MASK}"
