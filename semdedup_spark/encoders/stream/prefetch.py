"""Work done in a background thread, a few items ahead of whoever uses them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_SECONDS_TO_END = 5.0


class _Line(Generic[T]):
    """The items that are made and not yet used: at most ``depth``. An exception travels as such."""

    def __init__(self, depth: int) -> None:
        self._queue: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(depth)
        self._left = threading.Event()

    def fill(self, items: Iterable[T]) -> None:
        """The body of the thread."""
        try:
            for item in items:
                self._queue.put(("item", item))
                if self._left.is_set():
                    return
            self._queue.put(("end", None))
        except BaseException as error:  # whoever uses the items must learn of it, whatever it is
            self._queue.put(("error", error))

    def items(self) -> Iterator[T]:
        while True:
            kind, value = self._queue.get()
            if kind == "end":
                return
            if kind == "error":
                raise value  # type: ignore[misc]
            yield value  # type: ignore[misc]

    def leave(self) -> None:
        """Lets the thread end at its next item."""
        self._left.set()
        try:
            while True:
                self._queue.get_nowait()
        except queue.Empty:
            pass


def ahead(items: Iterable[T], depth: int) -> Iterator[T]:
    """The same items in the same order, made by a thread that is at most ``depth`` + 1 ahead.

    What making an item raises is raised here, in its place. The thread ends with the items, or soon
    after this iterator is closed; it never outlives the process.
    """
    line: _Line[T] = _Line(depth)
    thread = threading.Thread(target=line.fill, args=(items,), name="ahead", daemon=True)
    thread.start()
    try:
        yield from line.items()
    finally:
        line.leave()
        thread.join(_SECONDS_TO_END)
