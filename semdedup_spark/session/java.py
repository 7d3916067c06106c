"""Which Java there is, and where it writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from semdedup_spark.errors import EnvironmentProblem

_OLDEST_JAVA = 17


def require_java() -> None:
    """Check that there is a Java that Spark can use.

    Raises
    ------
    EnvironmentProblem
        There is no Java 17 or newer.
    """
    home = os.environ.get("JAVA_HOME")
    java = os.path.join(home, "bin", "java") if home else shutil.which("java")
    version = _java_version(java) if java else None
    if version is None or version < _OLDEST_JAVA:
        got = f"Java {version} at {java}" if version else "none (looked in JAVA_HOME and PATH)"
        raise EnvironmentProblem(
            f"Java must be {_OLDEST_JAVA} or newer. Got {got}.",
            hint="install OpenJDK 17 (Debian: apt install openjdk-17-jre-headless; "
            "macOS: brew install openjdk@17) or point JAVA_HOME at one.",
        )


@contextmanager
def java_without_output() -> Iterator[None]:
    """Let a Java that is started in the ``with`` block write nothing to standard output, as long as
    it lives. Delta prints there, whatever the settings of its log are. Errors of Java, and Spark's
    log, go to standard error. A Java that runs already keeps its output.

    For commands only: until the block ends, nothing that the process writes is seen.

    Yields
    ------
    None
        Programs that are started now have no standard output.
    """
    sys.stdout.flush()
    own = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(own, 1)
        os.close(own)


def _java_version(java: str) -> int | None:
    try:
        shown = subprocess.run(
            [java, "-XshowSettings:properties", "-version"],
            capture_output=True,
            text=True,
            check=False,
        ).stderr
    except OSError:
        return None
    for line in shown.splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "java.specification.version":
            return int(value.strip().removeprefix("1.").split(".")[0])
    return None
