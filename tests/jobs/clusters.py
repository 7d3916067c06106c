"""A cluster of Spark's own on this machine: a master, and two workers of one core each."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark
import pytest

from semdedup_spark.session.pairs import DEFAULT
from semdedup_spark.session.spark_session import resolved_delta_jars

REPOSITORY = Path(__file__).resolve().parents[2]
HOME = Path(pyspark.__file__).parent
_WORKER_MEMORY = "1g"
_QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# A few rows: less memory and fewer tasks than by default, and what the compilers cost is more than
# what they save.
_SMALL = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.executor.memory": "640m",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.ui.enabled": "false",
}


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs.

    Attributes
    ----------
    master
        Its URL.
    folder
        Where its workers keep the files of jobs.
    """

    master: str
    folder: Path

    def executors(self) -> list[int]:
        """Process ids of the executors that work for it now."""
        return [
            int(place.name) for place in Path("/proc").glob("[0-9]*") if self._is_executor(place)
        ]

    def _is_executor(self, process: Path) -> bool:
        try:
            ours = Path(os.readlink(process / "cwd")).is_relative_to(self.folder)
            return ours and b"CoarseGrainedExecutorBackend" in (process / "cmdline").read_bytes()
        except OSError:  # it has ended, or is another user's
            return False

    def kill_an_executor(self) -> None:
        """Kill one, as the system does for want of memory. Its worker starts another."""
        os.kill(self.executors()[0], signal.SIGKILL)


@contextmanager
def standalone(folder: Path) -> Iterator[Cluster]:
    """Start one, whose workers find no package of ours by themselves, and end it."""
    started = []
    try:
        started.append(_begin(folder, "master", "--host", "127.0.0.1", "--port", "0"))
        master = _told(folder / "master.log", r"Starting Spark master at (spark://\S+)")
        for name in ("worker-1", "worker-2"):
            size = ("--cores", "1", "--memory", _WORKER_MEMORY, "--work-dir", str(folder / name))
            started.append(_begin(folder, name, "--host", "127.0.0.1", *size, master))
            _told(folder / f"{name}.log", r"(Successfully registered with master)")
        yield Cluster(master, folder)
    finally:
        for process in started[::-1]:
            process.terminate()
            process.wait()


def _begin(folder: Path, name: str, *words: str) -> subprocess.Popen[bytes]:
    kind = name.partition("-")[0]
    main = f"org.apache.spark.deploy.{kind}.{kind.capitalize()}"
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [str(HOME / "bin" / "spark-class"), main, "--webui-port", "0", *words],
            cwd=folder,
            env=_clean_environment() | {"SPARK_DAEMON_MEMORY": "256m", "SPARK_HOME": str(HOME)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _clean_environment() -> dict[str, str]:
    kept = ("HOME", "JAVA_HOME", "LANG", "PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _told(log: Path, pattern: str) -> str:
    for _ in range(600):
        if found := re.search(pattern, log.read_text(errors="replace")):
            return found[1]
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def submitted(
    master: str, *words: str, python: Path | str, log: Path, path: str | None = None
) -> subprocess.Popen[bytes]:
    """Start spark-submit as the documentation does, but with little memory and few tasks.

    ``python`` is that of the workers, ``path`` the driver's PYTHONPATH; ``None``: that of here.
    """
    jars = resolved_delta_jars()
    delta = ["--jars", ",".join(jars)] if jars else ["--packages", DEFAULT.package]
    small = _SMALL | {
        "spark.pyspark.driver.python": sys.executable,
        "spark.pyspark.python": str(python),
    }
    found = os.environ.get("PYTHONPATH", "") if path is None else path
    with log.open("wb") as said:
        return subprocess.Popen(
            [
                *(str(HOME / "bin" / "spark-submit"), "--master", master, *delta),
                *("--properties-file", "conf/spark-defaults.conf"),
                *(word for key, value in small.items() for word in ("--conf", f"{key}={value}")),
                *words,
            ],
            cwd=REPOSITORY,
            env=_clean_environment()
            | {
                "JDK_JAVA_OPTIONS": _QUICK,
                "PYSPARK_PYTHON": str(python),  # a server of Spark Connect looks nowhere else
                "PYTHONPATH": found,
                "SPARK_HOME": str(HOME),
            },
            stdout=said,
            stderr=subprocess.STDOUT,
        )


def python_with_libraries(folder: Path) -> Path:
    """Make a Python with all that is installed here but this package, which is linked to. Skips the
    test where the package itself is among what is installed.
    """
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "libraries.pth").write_text("\n".join(here))
    python = folder / "bin" / "python"
    code = (
        "import numpy, pyarrow, importlib.util as u; print(u.find_spec('semdedup_spark') is None)"
    )
    asked = [str(python), "-c", code]
    found = subprocess.run(asked, cwd=folder, env={}, capture_output=True, text=True, check=True)
    if found.stdout.strip() != "True":
        pytest.skip("the package must be installed as a link: pip install --editable")
    return python


@contextmanager
def connect_server(folder: Path, python: Path) -> Iterator[str]:
    """Start a server of Spark Connect with Delta, whose Python workers are ``python``, and end it.

    Gives its address, for ``SPARK_REMOTE``.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
        *("--conf", "spark.connect.grpc.binding.address=127.0.0.1"),
        *("--conf", f"spark.connect.grpc.binding.port={port}"),
    ]
    log = folder / "server.log"
    server = submitted("local[2]", *words, python=python, log=log, path="")
    try:
        _listening(port, server, log)
        yield f"sc://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _listening(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError(log.read_text())
