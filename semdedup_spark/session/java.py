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


def require_java() -> str:
    """Check that there is a Java that Spark can use.

    Returns
    -------
    str
        What tells it from another Java: its place and its build.

    Raises
    ------
    EnvironmentProblem
        There is no Java 17 or newer.
    """
    home = os.environ.get("JAVA_HOME")
    java = os.path.join(home, "bin", "java") if home else shutil.which("java")
    told = _properties(java) if java else {}
    version = _version(told)
    if version is None or version < _OLDEST_JAVA:
        got = f"Java {version} at {java}" if version else "none (looked in JAVA_HOME and PATH)"
        raise EnvironmentProblem(
            f"Java must be {_OLDEST_JAVA} or newer. Got {got}.",
            hint="install OpenJDK 17 (Debian: apt install openjdk-17-jre-headless; "
            "macOS: brew install openjdk@17) or point JAVA_HOME at one.",
        )
    return f"{told.get('java.home')} {told.get('java.vm.version')}"


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


def _properties(java: str) -> dict[str, str]:
    """What it says of itself; nothing where it does not run."""
    command = [java, "-XshowSettings:properties", "-version"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    except OSError:
        return {}
    pairs = (line.partition("=") for line in shown.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _version(told: dict[str, str]) -> int | None:
    value = told.get("java.specification.version")
    return int(value.removeprefix("1.").split(".")[0]) if value else None
