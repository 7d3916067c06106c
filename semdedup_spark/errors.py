"""Every error that a user can cause or meet.

Each says what must be, what was got, and the way out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from semdedup_spark.visible import shown


class SemDedupError(Exception):
    """Base of all errors raised on purpose.

    Its texts are for people: secrets are masked, control characters become symbols.

    Parameters
    ----------
    problem
        What must be, and what was got.
    hint
        The way out; empty for none.

    Attributes
    ----------
    exit_code
        What the command line returns.
    retryable
        Whether the same command is known to be able to succeed later without any change.
        Schedulers read it.
    """

    exit_code = 1
    retryable = False

    def __init__(self, problem: str, *, hint: str = "") -> None:
        problem, hint = shown(problem), shown(hint)
        super().__init__(f"{problem}\n  Hint: {hint}" if hint else problem)
        self.problem = problem
        self.hint = hint


class TransientError(SemDedupError, RuntimeError):
    """Raised for what passes by itself: the same command, given again, continues.

    Attributes
    ----------
    retryable
        True.
    """

    retryable = True


class PermanentError(SemDedupError, RuntimeError):
    """Raised for what fails again until something is changed."""


class UnknownError(SemDedupError, RuntimeError):
    """Raised for a failure of which it is not known whether it passes. The hint says so."""


class ConfigError(PermanentError, ValueError):
    """Raised when a configuration key or value is wrong. Nothing was read or written.

    Attributes
    ----------
    exit_code
        2.
    """

    exit_code = 2


class SourceError(PermanentError, ValueError):
    """Raised when the source cannot be read as configured. Nothing was written.

    Attributes
    ----------
    exit_code
        2.
    """

    exit_code = 2

    @classmethod
    def missing_column(cls, column: str, available: Iterable[str], *, key: str) -> SourceError:
        """Make the error for a configured column that the source does not have.

        Parameters
        ----------
        column
            The name that was configured.
        available
            The columns of the source.
        key
            The configuration key, such as ``source.id``.

        Returns
        -------
        SourceError
            It names the closest column as a hint.
        """
        names = sorted(available)
        return cls(
            f"{key} must name a column of the source. Got {column!r}; "
            f"the columns are: {', '.join(names)}.",
            hint=did_you_mean(column, names) or f"set {key} to one of these columns.",
        )


class OtherSourceError(SourceError):
    """Raised when the output holds rows of another source and none of this one's rows.

    Nothing was written.
    """


class StageOrderError(PermanentError):
    """Raised when a stage runs alone and its input is missing or was made with other settings.

    Attributes
    ----------
    exit_code
        2.
    """

    exit_code = 2


class HorizonError(PermanentError, ValueError):
    """Raised when a threshold greater than ``score.eps_max`` is asked of a score table.

    Attributes
    ----------
    exit_code
        2.
    """

    exit_code = 2


class UnknownRowError(PermanentError, LookupError):
    """Raised when no table holds the id that was asked for.

    Attributes
    ----------
    exit_code
        2.
    """

    exit_code = 2


class InvalidIdError(ConfigError, UnknownRowError):
    """Raised for a text that cannot be an id of the table, such as letters for a number."""


class EnvironmentProblem(PermanentError):
    """Raised when Java, Spark, or an optional package is missing or unsuitable.

    Attributes
    ----------
    exit_code
        2.
    """

    exit_code = 2


class SourceChangedError(TransientError):
    """Raised when files of the source changed while they were read."""


class OutputBusyError(TransientError):
    """Raised when another run works on the same output. Nothing was read or written."""


class OutputError(PermanentError):
    """Raised when the first write of a run fails. Nothing was written.

    Attributes
    ----------
    exit_code
        2.
    """

    exit_code = 2


class ReconciliationError(UnknownError):
    """Raised when kept + removed + quarantined differs from the number of rows read."""


class GuardError(PermanentError):
    """Raised when a selection would remove more than a guard allows, or break a pair of
    ``select.golden``. The last one stays as it was.

    Attributes
    ----------
    exit_code
        3.
    """

    exit_code = 3


class MixedEncodersError(PermanentError):
    """Raised before vectors of one encoder are added to those of another."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the closest known word.

    Parameters
    ----------
    word
        What was given.
    known
        What could be given.

    Returns
    -------
    str
        ``"did you mean 'x'?"``, or an empty text if nothing is close.
    """
    by_case = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), list(by_case), n=1, cutoff=0.5)
    return f"did you mean {by_case[close[0]]!r}?" if close else ""
