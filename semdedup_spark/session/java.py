"""Which Java there is."""

from __future__ import annotations

import os
import shutil
import subprocess

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
