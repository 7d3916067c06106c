"""What a command says last when Spark fails under it: the cause in a line, and the way out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_CONTINUES = "the same command goes on where this one stopped"
_JAVA_NAME = r"(?:[a-z_][\w$]*\.)+([A-Z][\w$]*)"
_CAUSE = re.compile(rf"^\s*(?:Caused by: )?{_JAVA_NAME}(?:: (.*))?$", re.MULTILINE)
_LONGEST = 300
_SPARK = ("pyspark", "py4j")


@dataclass(frozen=True)
class Failure:
    """``cause``: one line; ``retryable``: whether the same command may succeed later."""

    cause: str
    hint: str
    retryable: bool

    def __str__(self) -> str:
        return f"failed while running: {self.cause}\n  Hint: {self.hint}"


# Of what Spark and the file systems below it say; the first that fits.
_KNOWN = (
    (
        r"No space left on device|Disk quota exceeded",
        "make room where the output is, and Spark's scratch space (spark.local.dir); "
        f"{_CONTINUES}.",
    ),
    (
        r"FILE_NOT_EXIST|PATH_NOT_FOUND|FileNotFoundException|does not exist",
        "somebody removes or replaces files of the source, or of the output, while this runs: let "
        f"that end; {_CONTINUES}.",
    ),
    (
        r"Python worker exited unexpectedly|Connection reset|SparkContext was shut down"
        r"|Answer from Java side is empty|Connection refused",
        "a process of Spark was killed, by somebody or for want of memory (spark.driver.memory, "
        f"embed.batch_size, fewer cores); {_CONTINUES}.",
    ),
)


def explained(error: BaseException) -> Failure | None:
    """Of an error that Spark raised the innermost cause; ``None`` for any other."""
    if not type(error).__module__.startswith(_SPARK) and not isinstance(error, ConnectionError):
        return None
    told = list(_told(error))
    for pattern, hint in _KNOWN:
        for text in reversed(told):
            if line := re.search(rf"^.*(?:{pattern}).*$", text, re.MULTILINE):
                return Failure(_short(line[0]), hint, retryable=True)
    causes = [f"{name}: {said}" for text in told for name, said in _CAUSE.findall(text) if said]
    return Failure(_short(causes[-1] if causes else told[0]), f"{_CONTINUES}.", retryable=False)


def _told(error: BaseException) -> Iterator[str]:
    """What the error says, then what each Java exception below it says."""
    yield str(error) or type(error).__name__
    below = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    while below is not None:
        try:
            yield str(below.toString())
            below = below.getCause()
        except Exception:  # the JVM is gone
            return


def _short(text: str) -> str:
    line = re.sub(rf"^(?:Caused by: )?{_JAVA_NAME}: ", "", text.strip().splitlines()[0].strip())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} ..."
