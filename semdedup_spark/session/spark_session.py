"""A SparkSession with Delta, for the command line and the tests.

The library itself takes whatever session it is given and never changes it.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path

from pyspark.sql import SparkSession

from semdedup_spark.errors import EnvironmentProblem
from semdedup_spark.session.class_archive import archive_options
from semdedup_spark.session.connect import send_package
from semdedup_spark.session.java import require_java
from semdedup_spark.session.pairs import what_fits
from semdedup_spark.session.small_tables import suit_small_tables

_LOG = logging.getLogger(__name__)
_DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
# Otherwise each function of a Column asks Java three more questions, for the context of errors.
_NO_CONTEXT = {"spark.python.sql.dataFrameDebugging.enabled": "false"}
# One compiler instead of two. By default it has 48 MB for its code, and sweeps them all the time.
_QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"
# Of key and value in spark-defaults.conf, a Java properties file.
_SEPARATOR = re.compile(r"\s*[=:\s]\s*")


def open_session(
    extra: Mapping[str, str] | None = None, *, little_data: bool = False
) -> SparkSession:
    """Give the running session, under ``spark-submit`` or on Databricks that of the cluster, where
    ``SPARK_REMOTE`` is set one of Spark Connect, else a local one.

    For a local session, settings in the ``spark-defaults.conf`` of ``SPARK_CONF_DIR`` override this
    module's. Packages that they name are added to Delta's.

    Parameters
    ----------
    extra
        More Spark settings for a local session; they override all others.
    little_data
        Whether a local session is for little data: its Java starts in half the time, and works
        more slowly on millions of rows.

    Returns
    -------
    SparkSession
        A session with Delta. A local one needs Java: see
        :func:`~semdedup_spark.session.java.require_java`.

    Notes
    -----
    What it calls raises ``EnvironmentProblem`` where a local session does not start.
    """
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    if "DATABRICKS_RUNTIME_VERSION" in os.environ:
        # Named already. Serverless compute takes few settings, and a name is none of them.
        return SparkSession.builder.getOrCreate()
    if "SPARK_REMOTE" in os.environ or "PYSPARK_GATEWAY_PORT" in os.environ:
        session = SparkSession.builder.appName("semdedup").getOrCreate()
        suit_small_tables(session)
        if "SPARK_REMOTE" in os.environ:
            send_package(session)
        return session
    return _local_session(extra or {}, _QUICK_JAVA if little_data else "")


def _local_session(extra: Mapping[str, str], java_options: str) -> SparkSession:
    from delta import configure_spark_with_delta_pip

    java_options = f"{archive_options(require_java())} {java_options}".strip()
    _warn_of_another_pair()
    # Workers must be this interpreter, also where no virtual environment is activated.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    cores = os.cpu_count() or 1
    settings = {
        **_DELTA,
        **_NO_CONTEXT,
        "spark.sql.shuffle.partitions": str(2 * cores),
        "spark.sql.session.timeZone": "UTC",
        "spark.databricks.delta.snapshotPartitions": "2",
        # The number of tasks by which VACUUM lists a table's folders; the default is 10,000.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(4 * cores),
        "spark.python.daemon.module": "semdedup_spark.session.worker_daemon",
        # A copy.py or token.py of the current folder is no module of the workers' Python.
        "spark.executorEnv.PYTHONSAFEPATH": "1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": "4g",
        "spark.driver.extraJavaOptions": (
            f"-Dlog4j2.configurationFile={logging_file()} {java_options}".rstrip()
        ),
        # Images travel in these batches; 64 MiB is Spark's own bound where it has one (4.1).
        "spark.sql.execution.arrow.maxRecordsPerBatch": "4096",
        **spark_defaults(),
        **extra,
    }
    builder = SparkSession.builder.master(f"local[{cores}]").appName("semdedup")
    for key, value in settings.items():
        builder = builder.config(key, value)
    jars, packages = resolved_delta_jars(), _listed(settings.get("spark.jars.packages"))
    if jars:
        own = _listed(settings.get("spark.jars"))
        return builder.config("spark.jars", ",".join([*jars, *own])).getOrCreate()
    try:
        return configure_spark_with_delta_pip(builder, packages).getOrCreate()
    except Exception as error:
        raise _no_jars() from error


def _warn_of_another_pair() -> None:
    spark, delta = version("pyspark"), version("delta-spark")
    hint = what_fits(spark, delta)
    if hint is not None:
        _LOG.warning(f"pyspark {spark} and delta-spark {delta} are no pair that is tested: {hint}")


def _no_jars() -> EnvironmentProblem:
    """Java has printed why it ended; nearly always Delta's jars could not be had."""
    spark, delta = version("pyspark"), version("delta-spark")
    return EnvironmentProblem(
        f"Spark must start with the jars of Delta. With pyspark {spark} and delta-spark {delta} it "
        "did not.",
        hint=what_fits(spark, delta)
        or "the first start needs Maven Central, or a mirror that spark.jars.ivySettings names.",
    )


def logging_file() -> str:
    """Find the settings of Java's log. Where the package is in a zip, they are copied out of it,
    because Java reads a file; the copy goes when this process ends.

    Returns
    -------
    str
        The URI of a file.
    """
    held = ExitStack()
    atexit.register(held.close)
    return held.enter_context(as_file(files("semdedup_spark") / "log4j2.properties")).as_uri()


def spark_defaults() -> dict[str, str]:
    """Read ``spark-defaults.conf`` in the folder ``SPARK_CONF_DIR``.

    Spark reads this file as well, but what a program sets overrides it there.

    Returns
    -------
    dict
        Settings; empty if the variable is unset or the file is missing.
    """
    folder = os.environ.get("SPARK_CONF_DIR")
    file = Path(folder) / "spark-defaults.conf" if folder else None
    if file is None or not file.is_file():
        return {}
    found = {}
    for line in map(str.strip, file.read_text(encoding="utf-8").splitlines()):
        if line and line[0] not in "#!":
            key, *value = _SEPARATOR.split(line, maxsplit=1)
            found[key] = "".join(value)
    return found


def _listed(names: str | None) -> list[str]:
    return [name.strip() for name in (names or "").split(",") if name.strip()]


def resolved_delta_jars() -> list[str] | None:
    """Find Delta's jars where Ivy has put them before. Naming them directly skips dependency
    resolution: half of the start-up time, and no network.

    Returns
    -------
    list[str] | None
        Their paths; ``None`` if any is missing.
    """
    delta, spark = version("delta-spark"), ".".join(version("pyspark").split(".")[:2])
    folder = Path.home() / ".ivy2.5.2" / "jars"
    patterns = (
        f"io.delta_delta-spark_{spark}_2.13-{delta}.jar",
        f"io.delta_delta-storage-{delta}.jar",
        f"io.delta_delta-kernel-api-{delta}.jar",
        f"io.delta_delta-kernel-defaults-{delta}.jar",
        f"io.delta_delta-kernel-unitycatalog-{delta}.jar",
        "io.unitycatalog_unitycatalog-client-*.jar",
    )
    found = [sorted(folder.glob(pattern)) for pattern in patterns]
    return [str(jars[-1]) for jars in found] if all(found) else None
