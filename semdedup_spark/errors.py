"""Every error that a user can cause or meet. Each says what must be, what was got, the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SemDedupError(Exception):
    """Base of all errors raised on purpose.

    ``exit_code``: what the command line returns; ``retryable``: whether the same command may
    succeed later without any change, for schedulers.
    """

    exit_code = 1
    retryable = False

    def __init__(self, problem: str, *, hint: str = "") -> None:
        super().__init__(f"{problem}\n  Hint: {hint}" if hint else problem)
        self.problem = problem
        self.hint = hint


class ConfigError(SemDedupError, ValueError):
    """Raised when a configuration key or value is wrong. Nothing was read or written."""

    exit_code = 2


class SourceError(SemDedupError, ValueError):
    """Raised when the source cannot be read as configured. Nothing was written."""

    exit_code = 2

    @classmethod
    def missing_column(cls, column: str, available: Iterable[str], *, key: str) -> SourceError:
        """The column that config key ``key`` names is not in the source."""
        names = sorted(available)
        return cls(
            f"{key} must name a column of the source. Got {column!r}; "
            f"the columns are: {', '.join(names)}.",
            hint=did_you_mean(column, names) or f"set {key} to one of these columns.",
        )


class OtherSourceError(SourceError):
    """Raised when an output holds rows of another source, none of which is in this one. Nothing
    was written.
    """


class StageOrderError(SemDedupError, RuntimeError):
    """Raised when a stage runs alone and what it builds on is missing or was made otherwise."""

    exit_code = 2


class HorizonError(SemDedupError, ValueError):
    """Raised when a threshold beyond ``score.eps_max`` is asked of a score table."""

    exit_code = 2


class UnknownRowError(SemDedupError, LookupError):
    """Raised when no table knows the id that was asked for."""

    exit_code = 2


class EnvironmentProblem(SemDedupError, RuntimeError):
    """Raised when Java, Spark, or an optional package is missing or unsuitable."""

    exit_code = 2


class SourceChangedError(SemDedupError, RuntimeError):
    """Raised when the source's files changed while they were read."""

    retryable = True


class OutputBusyError(SemDedupError, RuntimeError):
    """Raised when another run works on the same output. Nothing was read or written."""

    retryable = True


class OutputError(SemDedupError, RuntimeError):
    """Raised when the first thing that a run writes cannot be written. Nothing was."""

    exit_code = 2


class ReconciliationError(SemDedupError, RuntimeError):
    """Raised when kept + removed + quarantined is not the number of rows read."""


class GuardError(SemDedupError, RuntimeError):
    """Raised when a selection would remove more than a guard allows. Nothing was written."""

    exit_code = 3


class MixedEncodersError(SemDedupError, RuntimeError):
    """Raised before vectors of one encoder would be added to those of another."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"did you mean 'x'?"`` for the closest known word, or nothing."""
    by_case = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), list(by_case), n=1, cutoff=0.5)
    return f"did you mean {by_case[close[0]]!r}?" if close else ""
