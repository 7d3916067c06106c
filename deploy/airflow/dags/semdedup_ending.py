"""How a run ended decides whether Airflow tries it again. The DAGs beside it import this file.

A run says of its failure whether the same command may succeed later: ``retryable`` in the summary.
Where it left no summary, its exit code counts: after 2 (configuration or input wrong) and 3 (a
guard stopped the selection) the same command fails again. A killed run leaves neither, and is tried
again.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException  # before Airflow 3.2: airflow.exceptions

if TYPE_CHECKING:
    from airflow.sdk import Context

_LOG = logging.getLogger(__name__)
# As spark-submit's operator and Databricks (IPython) write it. EMR's operator does not tell it.
_EXIT_CODE = re.compile(r"(?:Error code is|SystemExit)\W+(\d+)")
_NEVER_AGAIN = {"2", "3"}


class JudgedByItsSummary:
    """Mixin for an operator: fails at once where a repetition is of no use, returns the summary."""

    def summary(self, context: Context) -> dict[str, Any]:
        """Read the summary of the run that has just ended, for good or ill."""
        raise NotImplementedError

    @contextmanager
    def judged(self, context: Context) -> Iterator[dict[str, Any]]:
        """Do the operator's own work inside. What is given holds the summary afterwards."""
        told: dict[str, Any] = {}
        try:
            yield told
        except AirflowFailException:
            raise
        except Exception as error:
            found = _tried(self.summary, context)
            if _is_final(error, found):
                raise AirflowFailException(found.get("error") or str(error)) from error
            raise
        told.update(_tried(self.summary, context))

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> dict[str, Any]:
        """Airflow calls this instead of ``execute`` where a deferred operator goes on."""
        with self.judged(context) as told:
            super().resume_execution(next_method, next_kwargs, context)  # type: ignore[misc]
        return told


def _is_final(error: Exception, told: dict[str, Any]) -> bool:
    if "retryable" in told:
        return told["retryable"] is False
    code = _EXIT_CODE.search(f"{error} {told.get('error', '')}")
    return code is not None and code[1] in _NEVER_AGAIN


def _tried(read: Callable[[Context], dict[str, Any]], context: Context) -> dict[str, Any]:
    """A summary that cannot be read must hide neither the failure nor the success of the run."""
    try:
        return read(context)
    except Exception as error:
        _LOG.warning("the run left no summary that can be read: %s", error)
        return {}


def place_of_summary(words: Sequence[str]) -> str:
    """Find the value of ``--summary`` among the words of a command."""
    return words[list(words).index("--summary") + 1]


def last_summary(output: str) -> dict[str, Any]:
    """Find the last summary in what a run printed (``--summary -``); empty where there is none."""
    decoder = json.JSONDecoder()
    for start in reversed([found.start() for found in re.finditer(r"^\{", output, re.MULTILINE)]):
        try:
            told, _ = decoder.raw_decode(output, start)
        except ValueError:
            continue
        if "ok" in told:
            return dict(told)
    return {}
