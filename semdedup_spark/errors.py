"""Every error that a user can cause or meet. Each says what must be, what was got, the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from semdedup_spark.visible import shown


class SemDedupError(Exception):
    """Base of all errors raised on purpose. Its texts are for people: secrets are masked in them,
    and control characters are symbols.

    ``exit_code``: what the command line returns; ``retryable``: whether it is known that the same
    command may succeed later without any change, for schedulers.
    """

    exit_code = 1
    retryable = False

    def __init__(self, problem: str, *, hint: str = "") -> None:
        problem, hint = shown(problem), shown(hint)
        super().__init__(f"{problem}\n  Hint: {hint}" if hint else problem)
        self.problem = problem
        self.hint = hint


class TransientError(SemDedupError, RuntimeError):
    """Raised for what passes by itself: the same command, given again, goes on."""

    retryable = True


class PermanentError(SemDedupError, RuntimeError):
    """Raised for what fails again until somebody changes something."""


class UnknownError(SemDedupError, RuntimeError):
    """Raised for what failed in a way that does not say whether it passes. Its hint says so."""


class ConfigError(PermanentError, ValueError):
    """Raised when a configuration key or value is wrong. Nothing was read or written."""

    exit_code = 2


class SourceError(PermanentError, ValueError):
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


class StageOrderError(PermanentError):
    """Raised when a stage runs alone and what it builds on is missing or was made otherwise."""

    exit_code = 2


class HorizonError(PermanentError, ValueError):
    """Raised when a threshold beyond ``score.eps_max`` is asked of a score table."""

    exit_code = 2


class UnknownRowError(PermanentError, LookupError):
    """Raised when no table knows the id that was asked for."""

    exit_code = 2


class InvalidIdError(ConfigError, UnknownRowError):
    """Raised for a text that cannot be an id of the table, and so is no row of it."""


class EnvironmentProblem(PermanentError):
    """Raised when Java, Spark, or an optional package is missing or unsuitable."""

    exit_code = 2


class SourceChangedError(TransientError):
    """Raised when the source's files changed while they were read."""


class OutputBusyError(TransientError):
    """Raised when another run works on the same output. Nothing was read or written."""


class OutputError(PermanentError):
    """Raised when the first thing that a run writes cannot be written. Nothing was."""

    exit_code = 2


class ReconciliationError(UnknownError):
    """Raised when kept + removed + quarantined is not the number of rows read."""


class GuardError(PermanentError):
    """Raised when a selection would remove more than a guard allows. Nothing was written."""

    exit_code = 3


class MixedEncodersError(PermanentError):
    """Raised before vectors of one encoder would be added to those of another."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"did you mean 'x'?"`` for the closest known word, or nothing."""
    by_case = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), list(by_case), n=1, cutoff=0.5)
    return f"did you mean {by_case[close[0]]!r}?" if close else ""
