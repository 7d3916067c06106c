"""Explain a failure of Spark: its cause in one line, whether it passes, and the way out.

Error conditions and exception classes decide. Wording counts only where there is neither, because a
message may quote the data.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from semdedup_spark import errors
from semdedup_spark.causes import BY_CLASS, BY_CONDITION, BY_SQLSTATE, BY_WORDS, Kind
from semdedup_spark.visible import inline

_PATH = r"(?:[a-zA-Z_][\w$]*\.)*"
_PACKAGE = r"(?:[a-z_][\w$]*\.)+"
_SAID = re.compile(
    rf"^\s*(?:Caused by: |: )?(?:(?P<class>{_PATH}[A-Z][\w$]*)(?:$|: ))?"
    r"(?:\[(?P<condition>[A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*)\] )?(?P<text>.*)$"
)
_SQLSTATE = re.compile(r"\bSQLSTATE: ([0-9A-Z]{5})\b")
_RAISED = re.compile(rf"^(?P<class>{_PATH}[A-Z]\w*)(?:: (?P<text>.*))?$", re.MULTILINE)
_BY_SYSTEM = re.compile(
    r"\((?:Permission denied|No space left on device|Read-only file system|Too many open files)\)$"
)
_TRACEBACK = "Traceback (most recent call last):"
_OWN = f"{errors.__name__}."
_LONGEST = 300
_SPARK = ("pyspark", "py4j", "grpc")
_NUMBERS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), Kind.ROOM),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), Kind.ACCESS),
    errno.ETIMEDOUT: Kind.NETWORK,
    errno.EHOSTUNREACH: Kind.NETWORK,
}


class Failed(errors.SemDedupError):
    """A failure of Spark or the machine under a command.

    Parameters
    ----------
    cause
        What failed; the first line is kept.
    kind
        What sort of failure it is.
    hint
        The way out; by default that of the kind.
    """

    def __init__(self, cause: str, kind: Kind, hint: str = "") -> None:
        self.cause = _short(cause)
        self.kind = kind
        super().__init__(f"failed while running: {self.cause}", hint=hint or kind.way_out)


class PassingFailure(Failed, errors.TransientError):
    """A failure after which the same command continues."""


class LastingFailure(Failed, errors.PermanentError):
    """A failure that comes again until something is changed."""


class UnclearFailure(Failed, errors.UnknownError):
    """A failure of which it is not known whether it passes."""


@dataclass(frozen=True)
class _Said:
    """What one exception of a chain says.

    Attributes
    ----------
    name
        Its class without the package.
    condition
        Error condition; empty for none.
    sqlstate
        Five characters; empty for none.
    line
        Its message in one line.
    """

    name: str
    condition: str
    sqlstate: str
    line: str


def explained(error: BaseException) -> Failed | None:
    """Explain an error of Spark or of the machine.

    Parameters
    ----------
    error
        Whatever a command ended with.

    Returns
    -------
    Failed or None
        An error to raise or to tell, which knows whether it is ``retryable``; ``None`` for errors
        of neither Spark nor the machine.
    """
    if isinstance(error, Failed):
        return error
    if isinstance(error, MemoryError):
        return _failed(str(error) or "MemoryError", Kind.MEMORY)
    by_machine = isinstance(error, OSError) and error.errno in _NUMBERS
    if by_machine or isinstance(error, ConnectionError | TimeoutError):
        number = error.errno if isinstance(error, OSError) else None
        return _failed(f"{type(error).__name__}: {error}", _NUMBERS.get(number or 0, Kind.NETWORK))
    if not type(error).__module__.startswith(_SPARK):
        return None
    return _of_spark(error)


def refuse_elsewhere(error: BaseException, *more: Kind) -> None:
    """Raise an error that says nothing about the place that was asked, so that it is not taken for
    an answer such as "there is no such table".

    Parameters
    ----------
    error
        What Spark raised where a place was read or written.
    *more
        Kinds that say nothing about it either.

    Notes
    -----
    It raises :class:`Failed` for a failure of the network, of a process or of another writer, and
    for one of ``more``.
    """
    failure = explained(error)
    if failure is not None and (failure.kind.is_elsewhere or failure.kind in more):
        _raise(failure, error)


def _raise(failure: Failed, error: BaseException) -> NoReturn:
    raise failure from error


def unclear(error: BaseException) -> UnclearFailure:
    """Wrap an error that nothing is known about.

    Parameters
    ----------
    error
        Whatever a command ended with.

    Returns
    -------
    UnclearFailure
        It names the class and the message.
    """
    return UnclearFailure(f"{type(error).__name__}: {error}", Kind.UNKNOWN)


def as_known(error: BaseException) -> errors.SemDedupError:
    """Turn whatever ended a command into an error that says whether it passes.

    Parameters
    ----------
    error
        Whatever a command ended with.

    Returns
    -------
    SemDedupError
        The error itself if it is one of this package.
    """
    return error if isinstance(error, errors.SemDedupError) else explained(error) or unclear(error)


def _of_spark(error: BaseException) -> Failed:
    texts = list(_told(error))
    own = _raised_by_us(texts)
    if own is not None:
        return own
    inner = [each for text in texts for each in _parts(text)][::-1]  # the innermost first
    said = [*inner, _Said(type(error).__name__, "", "", texts[0])]
    found = _by_condition(said) or _by_class(said) or _by_words(texts)
    if found is not None:
        return _failed(found[1], found[0])
    named = [f"{each.name}: {each.line}" for each in inner if each.name and each.line]
    return _failed(named[0] if named else texts[0], Kind.UNKNOWN)


def _failed(cause: str, kind: Kind, hint: str = "") -> Failed:
    made = {True: PassingFailure, False: LastingFailure, None: UnclearFailure}[kind.passes]
    return made(cause, kind, hint)


def _by_condition(said: list[_Said]) -> tuple[Kind, str] | None:
    """The kind, and the line that tells it."""
    for each in said:
        for condition, kind in BY_CONDITION:
            if condition.fullmatch(each.condition):
                return kind, each.line
        for prefix, kind in BY_SQLSTATE:
            if each.sqlstate.startswith(prefix):
                return kind, each.line
    return None


def _by_class(said: list[_Said]) -> tuple[Kind, str] | None:
    for name, kind in BY_CLASS:
        for each in said:
            if name.fullmatch(each.name):
                return kind, each.line
    return None


def _by_words(texts: list[str]) -> tuple[Kind, str] | None:
    for pattern, kind in BY_WORDS:
        for text in reversed(texts):
            if line := re.search(rf"^.*(?:{pattern}).*$", text, re.MULTILINE):
                return kind, line[0]
    return None


def _parts(text: str) -> Iterator[_Said]:
    """Its first line, each line that begins with ``Caused by``, and what Python raised."""
    lines = text.strip().split("\n")
    heads = [
        line
        for place, line in enumerate(lines)
        if not place or line.lstrip().startswith(("Caused by: ", ": "))
    ]
    for line in heads:
        yield _part(line, text if len(heads) == 1 else line)
    if _TRACEBACK in text:
        raised = list(_RAISED.finditer(text.rpartition(_TRACEBACK)[2]))
        for match in raised[:1]:
            name = match["class"].rpartition(".")[2]
            yield _Said(name, "", "", f"{name}: {match['text'] or ''}".rstrip(": "))


def _part(line: str, whole: str) -> _Said:
    found = _SAID.match(line)
    state = _SQLSTATE.search(whole)
    name = (found and found["class"]) or ""
    if _BY_SYSTEM.search(line):  # Java calls all of these FileNotFoundException
        name = ""
    condition = (found and found["condition"]) or ""
    said = (found and found["text"]) or ""
    told = f"[{condition}] {said}" if condition else said
    return _Said(name.rpartition(".")[2], condition, state[1] if state and condition else "", told)


def _raised_by_us(texts: list[str]) -> Failed | None:
    """An error of ours that a worker raised keeps what it says of itself."""
    for text in texts:
        _, there, rest = text.rpartition(f"\n{_OWN}")
        name, _, message = rest.partition(": ")
        kind = getattr(errors, name, None) if there else None
        if isinstance(kind, type) and issubclass(kind, errors.SemDedupError):
            problem, _, hint = message.partition("\n  Hint: ")
            passes = None if issubclass(kind, errors.UnknownError) else kind.retryable
            return _failed(problem, Kind.of(passes), hint.strip().partition("\n")[0])
    return None


def _told(error: BaseException) -> Iterator[str]:
    """What the error says, then what each Java exception below it says."""
    yield _with_condition(error)
    below = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    while below is not None:
        try:
            yield str(below.toString())
            below = below.getCause()
        except Exception:  # the JVM is gone
            return


def _with_condition(error: BaseException) -> str:
    """PySpark knows the condition and its SQLSTATE also where the text does not name them."""
    text = str(error) or type(error).__name__
    try:
        named = getattr(error, "getCondition", None) or error.getErrorClass  # type: ignore[attr-defined]
        condition, state = named(), error.getSqlState()  # type: ignore[attr-defined]
    except Exception:  # no error of PySpark's, or the JVM is gone
        return text
    if condition and not text.lstrip().startswith(f"[{condition}]"):
        text = f"[{condition}] {text}"
    first, end, rest = text.partition("\n")
    known = state is None or _SQLSTATE.search(text) is not None
    return text if known else f"{first} SQLSTATE: {state}{end}{rest}"


def _short(text: str) -> str:
    lines = text.strip().split("\n")
    line = re.sub(rf"^(?:Caused by: )?{_PACKAGE}[A-Z][\w$]*: (?=\S)", "", lines[0].strip(), count=1)
    line = inline(line)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."
