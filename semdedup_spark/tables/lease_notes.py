"""What a commit to the table ``leases`` says: which process claimed, renewed or released it."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from semdedup_spark.tables.marks import check_layout

CLAIMED, RENEWED, RELEASED = "claimed", "renewed", "released"
# That of the marks of release 0.2, which reads these notes as they are.
_LAYOUT = 2


@dataclass(frozen=True)
class Holder:
    """A process on a machine.

    Attributes
    ----------
    host
        Name of the host.
    machine
        Tells hosts, boots and containers apart, because process numbers are unique only within one
        of them. Empty where it is not known.
    pid
        Number of the process.
    started
        When it started, in ticks since boot: on one machine, too, numbers repeat in time. Empty
        where it is not known.
    """

    host: str
    machine: str
    pid: int
    started: str = ""

    @classmethod
    def here(cls) -> Holder:
        """Describe the process that asks.

        Returns
        -------
        Holder
            This process.
        """
        return cls(platform.node(), _machine(), os.getpid(), _process(os.getpid())[1])

    def is_beside(self) -> bool:
        """Tell whether it is another process of this machine that is known to run.

        Returns
        -------
        bool
            False where this cannot be known.
        """
        own = self.machine == _machine() and bool(self.machine)
        return own and self.pid != os.getpid() and not self.has_ended()

    def has_ended(self) -> bool:
        """Tell whether the process is known to have ended.

        Returns
        -------
        bool
            Always false for a process on another machine.
        """
        if self.machine != _machine() or not self.machine:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # the process exists, and belongs to another user
            pass
        state, started = _process(self.pid)
        return state == "Z" or bool(self.started and started and started != self.started)


@dataclass(frozen=True)
class LeaseNote:
    """The mark of a commit to ``leases``: a claim, a renewal or a release.

    Attributes
    ----------
    run_id
        The run that the lease is for.
    token
        Tells this lease from all others.
    event
        ``claimed``, ``renewed`` or ``released``.
    holder
        The process.
    since
        Version of the commit that claimed the lease; negative in that commit itself.
    seconds
        How long the lease lasts from this commit, in seconds.
    at
        When the commit was made, by the clock of the process (ISO 8601).
    stage
        ``lease``, as a mark of a stage has its name.
    made_with
        Empty: the rows of ``leases`` may be of any maker.
    """

    run_id: str
    token: str
    event: str
    holder: Holder
    since: int
    seconds: float
    at: str

    stage: ClassVar[str] = "lease"
    made_with: ClassVar[str] = ""

    def text(self) -> str:
        """Write the note as JSON. It keeps the form of layout 1, with a text inside: a run of an
        earlier release must see that the output is in use. Such a release passes over keys that it
        does not know.

        Returns
        -------
        str
            No two notes have equal texts.
        """
        told = {"layout": _LAYOUT, **asdict(self)}
        del told["run_id"]
        outer = {"run_id": self.run_id, "stage": self.stage, "result_key": json.dumps(told)}
        return json.dumps(outer)

    @classmethod
    def read(cls, text: str | None) -> LeaseNote | None:
        """Read a note.

        Parameters
        ----------
        text
            The user metadata of a commit to ``leases``.

        Returns
        -------
        LeaseNote | None
            ``None`` where another program made the commit.
        """
        try:
            outer = json.loads(text or "")
            told = json.loads(outer["result_key"])
            check_layout(told.get("layout", 1), "the table leases")
            return cls(
                outer["run_id"],
                told["token"],
                told["event"],
                Holder(**told["holder"]),
                int(told["since"]),
                float(told["seconds"]),
                told["at"],
            )
        except (TypeError, ValueError, AttributeError, KeyError):
            return None


def _process(pid: int) -> tuple[str, str]:
    """(state, start in ticks since boot), empty where they cannot be read. A zombie (Z) has ended,
    and its parent has not yet collected its exit status.
    """
    try:
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return told[0], told[19]
    except (OSError, IndexError):
        return "", ""


def _machine() -> str:
    """Equal for two processes exactly if they see each other's numbers; empty if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
    return f"{platform.node()} {boot} {space}"
