"""An archive of the classes that Java loads for Spark: with it a local session starts in less time.

A start loads some ten thousand classes out of hundreds of jars. Java can keep them, parsed and
checked, in a file of 190 MB (class data sharing, JEP 350). The file fits one Java and one Spark;
its name says which. Java itself ignores one that does not fit.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

# Nothing is said of an archive that does not fit, nor of the classes that are left out of one.
_SILENT = "-Xlog:cds=off -Xlog:cds+dynamic=off -Xlog:class+path=off"
_SECONDS = 600
_RECORDED = "SEMDEDUP_RECORDED_CLASSES"


def archive_file(java: str) -> Path:
    """Tell where the archive lies.

    Parameters
    ----------
    java
        What tells one Java from another, see :func:`~semdedup_spark.session.java.require_java`.

    Returns
    -------
    Path
        A file of the Python environment, which goes with it; it need not be there.
    """
    spark = os.environ.get("SPARK_HOME", ""), version("pyspark")
    fits = hashlib.sha256("\n".join([java, *spark]).encode()).hexdigest()[:16]
    return Path(sys.prefix) / "share" / "semdedup_spark" / f"classes-{fits}.jsa"


def archive_options(java: str) -> str:
    """Say with which options Java uses the archive, or records one.

    Parameters
    ----------
    java
        As for :func:`archive_file`.

    Returns
    -------
    str
        Options of Java; empty where there is no archive.
    """
    recorded = os.environ.get(_RECORDED)
    if recorded:
        return f"-XX:ArchiveClassesAtExit={recorded} {_SILENT}"
    file = archive_file(java)
    return f"-XX:SharedArchiveFile={file} {_SILENT}" if file.is_file() else ""


def make_archive(java: str) -> Path | None:
    """Make the archive, unless it is there: a small job runs in another process, and its Java
    writes the archive when it ends.

    Parameters
    ----------
    java
        As for :func:`archive_file`.

    Returns
    -------
    Path | None
        The file; ``None`` where Java made none. Commands then start as before.
    """
    file = archive_file(java)
    if file.is_file():
        return file
    unfinished = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "semdedup_spark", "run", "--config", _job_in(folder)]
            subprocess.run(  # until Java, too, has closed the pipe
                command,
                cwd=folder,
                env={**os.environ, _RECORDED: str(unfinished)},
                capture_output=True,
                timeout=_SECONDS,
                check=True,
            )
        unfinished.replace(file)
    except (OSError, subprocess.SubprocessError):
        unfinished.unlink(missing_ok=True)
        return None
    return file


def _job_in(folder: str) -> str:
    """Write a job over a few vectors."""
    rows = ({"id": f"row {i}", "v": [1.0, i % 9, i % 4]} for i in range(60))
    Path(folder, "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    source = {"kind": "vectors", "format": "jsonl", "path": f"{folder}/rows.jsonl"}
    job = {
        "output": f"{folder}/out",
        "source": {**source, "id": "id", "content": "v"},
        "embed": {"encoder": "none"},
    }
    file = Path(folder, "job.yml")
    file.write_text(json.dumps(job))  # JSON is YAML
    return str(file)
