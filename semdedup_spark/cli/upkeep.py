"""Commands on tables that are updated over many runs: new centroids, and erasure."""

from __future__ import annotations

from pathlib import Path

import click

from semdedup_spark.cli.options import job_options, wait_option, working_job
from semdedup_spark.cli.results import print_result
from semdedup_spark.report.terminal import counted, say

_SHOWN = 10  # unknown ids to list by name


@click.command()
@job_options
@wait_option
def recluster(config: str, overrides: tuple[str, ...], run_id: str | None, wait: float) -> None:
    """Train new centroids on all rows, and score all rows again.

    Scoring and selection have the settings that they last had. With recall exact and a rank_by
    other than low and high, the kept rows stay the same.

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings.
    run_id
        Name of this run in the ledger. ``None``: the time.
    wait
        Seconds to wait for another run.
    """
    from semdedup_spark.pipeline import run_recluster

    with working_job(config, overrides, run_id, wait) as job:
        done = run_recluster(job)
    print_result(job, done, config, overrides)


@click.command()
@job_options
@wait_option
@click.option("--id", "ids", multiple=True, help="Id of a row to erase; may be repeated.")
@click.option(
    "--ids", "ids_file", type=click.Path(path_type=Path), help="A file of ids, one per line."
)
def forget(
    config: str,
    overrides: tuple[str, ...],
    run_id: str | None,
    wait: float,
    ids: tuple[str, ...],
    ids_file: Path | None,
) -> None:
    """Erase rows from every table and named selection, and restore rows that only they hid.

    Delete them in the source as well. Otherwise the next change of the source brings them back as
    new rows. Old files keep them until VACUUM removes these files.

    Parameters
    ----------
    config
        Path of the job file.
    overrides
        ``key.path=value`` settings.
    run_id
        Name of this run in the ledger. ``None``: the time.
    wait
        Seconds to wait for another run.
    ids
        Ids of rows to erase.
    ids_file
        File of more ids, one per line. ``None``: none.
    """
    from semdedup_spark.pipeline import run_forget
    from semdedup_spark.pipeline.ids import read_ids

    keys = [*ids, *(() if ids_file is None else read_ids(ids_file))]
    with working_job(config, overrides, run_id, wait) as job:
        done = run_forget(job, keys)
    rows = counted(done.embedded, "row")
    say(f"forgotten: {rows} of embeddings, {done.quarantined:,} of quarantine")
    if done.unknown:
        shown = ", ".join(repr(id_) for id_ in done.unknown[:_SHOWN])
        more = ", ..." if len(done.unknown) > _SHOWN else ""
        say(f"not found: {counted(len(done.unknown), 'id')}: {shown}{more}")
    say("Older versions of the tables still hold these rows. To remove them, once the retention")
    say("time has passed (7 days by default in Delta), run:")
    for table in done.tables:
        say(f"  VACUUM {table}")
    if done.stale:
        say("These tables still hold the rows, because their settings no longer fit. Make them")
        say(f"again with other settings, or drop them: {', '.join(done.stale)}")


COMMANDS = (recluster, forget)
