"""The command line: parses arguments, loads the configuration, opens a session, runs the pipeline.

Exit codes: 0, done; 1, failed while running; 2, wrong configuration or input, nothing written;
3, a guard stopped a selection, nothing written. Each group of commands has a module of its own.
Heavy packages are imported only when a command runs.
"""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from semdedup_spark import __version__
from semdedup_spark.cli import (
    audit,
    export,
    operations,
    overriding,
    plan,
    prune,
    queries,
    sql,
    stages,
    start,
    sweep,
    upkeep,
)
from semdedup_spark.errors import ConfigError, SemDedupError
from semdedup_spark.failures import as_known
from semdedup_spark.paths import local
from semdedup_spark.report.files import check_writable
from semdedup_spark.report.terminal import say
from semdedup_spark.visible import shown

_FIRST_SECTION = re.compile(r"^[A-Z][a-z]+\n-{3,}$", re.MULTILINE)
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
    "mlflow": "mlflow",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``semdedup``, ``python -m semdedup_spark`` and ``jobs/``.

    Parameters
    ----------
    arguments
        Command-line words after the program's name. ``None``: those of ``sys.argv``.

    Notes
    -----
    Returns after a command that succeeded, and otherwise ends the process with the exit code of the
    command (``SystemExit``). Databricks runs an entry point in IPython, which takes each
    ``SystemExit`` for a failure, also one with code 0.
    """
    words = None if arguments is None else list(arguments)
    try:
        code = cli.main(args=words, prog_name="semdedup", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        say("Aborted!", err=True)
        code = 1
    except SemDedupError as error:
        say(f"semdedup: {error}", err=True)
        code = error.exit_code
    except ModuleNotFoundError as error:
        code = _told_what_is_missing(error)
    except Exception as error:
        code = _told(error)
    if code:
        sys.exit(code)


def _told_what_is_missing(error: ModuleNotFoundError) -> int:
    extra = _EXTRAS.get((error.name or "").split(".")[0])
    if extra is None:
        return _told(error)
    say(
        f"semdedup: the package {error.name} must be installed. It is not.\n"
        f"  Hint: pip install 'semdedup-spark[{extra}]'",
        err=True,
    )
    return 2


def _told(error: Exception) -> int:
    """Report an unexpected error with its traceback. Gives the exit code."""
    say("".join(traceback.format_exception(error)), err=True)
    say(f"semdedup: {as_known(error)}", err=True)
    return 1


class _Commands(click.Group):
    """Group that masks secrets and control characters in click's error messages."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the arguments of the group.

        Parameters
        ----------
        *args
            Passed on to click.
        **kwargs
            Passed on to click.

        Returns
        -------
        click.Context
            Context of the group.
        """
        with _quoted_safely():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Parse the arguments of the command, and run it.

        Parameters
        ----------
        ctx
            Context of the group.

        Returns
        -------
        object
            What the command returns.
        """
        with _quoted_safely():
            return super().invoke(ctx)


@contextmanager
def _quoted_safely() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        error.message = shown(error.message)  # type: ignore[misc]
        raise


def _without_sections(docstring: str) -> str:
    """The text before the numpydoc sections: on the command line the options have help texts."""
    return _FIRST_SECTION.split(inspect.cleandoc(docstring), maxsplit=1)[0].rstrip()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="semdedup")
@click.option(
    "--log-json",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append messages, progress and failures to this file, as lines of JSON.",
)
def cli(log_json: Path | None) -> None:
    """Semantic deduplication of a data lake (SemDeDup on Spark and Delta).

    A job is a YAML file: `semdedup init` writes one, `semdedup config` prints every key.
    `semdedup run` runs all four stages and reuses results that are still valid. The command of a
    stage runs that stage alone.

    Parameters
    ----------
    log_json
        File to which log records are appended, as lines of JSON.

    Raises
    ------
    ConfigError
        The file would lie in an object storage.
    """
    if log_json is not None:
        from semdedup_spark.report.logs import log_to

        place = local(str(log_json))
        if place is None:
            raise ConfigError(
                f"--log-json must be a file on this machine. Got {str(log_json)!r}.",
                hint="an object storage appends no lines: copy the file there afterwards.",
            )
        check_writable("--log-json", Path(place))
        log_to(Path(place))


for _command in (
    *start.COMMANDS,
    *stages.COMMANDS,
    *plan.COMMANDS,
    *overriding.COMMANDS,
    *operations.COMMANDS,
    *queries.COMMANDS,
    *audit.COMMANDS,
    *sql.COMMANDS,
    *prune.COMMANDS,
    *export.COMMANDS,
    *upkeep.COMMANDS,
    *sweep.COMMANDS,
):
    cli.add_command(_command)

for _shown in (cli, *cli.commands.values()):
    _shown.help = _without_sections(_shown.help or "")
