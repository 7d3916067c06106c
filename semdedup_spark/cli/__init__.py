"""The command line: arguments to configuration to session to pipeline.

Exit codes: 0 done; 1 failed while running; 2 configuration or input wrong, nothing written;
3 a guard stopped a selection, nothing written. Each group of commands is a module of its own,
which imports what is heavy only where a command runs.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from semdedup_spark import __version__
from semdedup_spark.cli import export, operations, overriding, prune, queries, stages, sweep, upkeep
from semdedup_spark.cli.files import check_writable
from semdedup_spark.errors import SemDedupError
from semdedup_spark.failures import explained, unclear
from semdedup_spark.report.terminal import say
from semdedup_spark.visible import shown

_EXTRAS = {
    "pyspark": "spark",
    "delta": "spark",
    "PIL": "images",
    "torch": "text",
    "torchvision": "vision",
    "matplotlib": "report",
    "deltalake": "loader",
    "webdataset": "export",
    "datasets": "export",
    "jinja2": "report",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``semdedup``, ``python -m semdedup_spark`` and ``jobs/``."""
    try:
        cli.main(args=None if arguments is None else list(arguments), prog_name="semdedup")
    except SemDedupError as error:
        say(f"semdedup: {error}", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            _end_by(error)
        say(
            f"semdedup: the package {error.name} must be installed. It is not.\n"
            f"  Hint: pip install 'semdedup-spark[{extra}]'",
            err=True,
        )
        sys.exit(2)
    except Exception as error:
        _end_by(error)


def _end_by(error: Exception) -> NoReturn:
    """Tell all that is known of an error that was not raised on purpose."""
    say("".join(traceback.format_exception(error)), err=True)
    say(f"semdedup: {explained(error) or unclear(error)}", err=True)
    sys.exit(1)


class _Commands(click.Group):
    """Whose refusals quote arguments as they may be seen."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Reads the arguments of the group."""
        with _quoted_safely():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Reads those of the command, and runs it."""
        with _quoted_safely():
            return super().invoke(ctx)


@contextmanager
def _quoted_safely() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        error.message = shown(error.message)  # type: ignore[misc]
        raise


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="semdedup")
@click.option(
    "--log-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append what a job tells, its progress and its failure to this file, as lines of JSON.",
)
def cli(log_json: Path | None) -> None:
    """Semantic deduplication of a data lake (SemDeDup on Spark and Delta).

    A job is a YAML file: conf/base.yml lists every key. `semdedup run` does all four stages and
    reuses what is still valid; a stage by its name does that stage alone.
    """
    if log_json is not None:
        from semdedup_spark.report.logs import log_to

        check_writable("--log-json", log_json)
        log_to(log_json)


for _command in (
    *stages.COMMANDS,
    *overriding.COMMANDS,
    *operations.COMMANDS,
    *queries.COMMANDS,
    *prune.COMMANDS,
    *export.COMMANDS,
    *upkeep.COMMANDS,
    *sweep.COMMANDS,
):
    cli.add_command(_command)
