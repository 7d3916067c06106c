"""Make items in a background thread, a few ahead of the consumer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_SECONDS_TO_END = 5.0


class _Buffer(Generic[T]):
    """Items that are made and not yet used. It also carries an exception.

    Parameters
    ----------
    depth
        Most items held.
    """

    def __init__(self, depth: int) -> None:
        self._queue: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(depth)
        self._left = threading.Event()

    def fill(self, items: Iterable[T]) -> None:
        """Run in the thread: make the items and put them in.

        Parameters
        ----------
        items
            Items to make.
        """
        try:
            for item in items:
                self._queue.put(("item", item))
                if self._left.is_set():
                    return
            self._queue.put(("end", None))
        except BaseException as error:  # Any error must reach the consumer.
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
        """Let the thread end at its next item."""
        self._left.set()
        try:
            while True:
                self._queue.get_nowait()
        except queue.Empty:
            pass


def prefetch(items: Iterable[T], depth: int) -> Iterator[T]:
    """Iterate over items that a thread makes, at most ``depth + 1`` ahead.

    An error of the thread is raised here, in the place of the item that caused it. The thread ends
    with the items, or soon after this iterator is closed. It never outlives the process.

    Parameters
    ----------
    items
        Iterated in the thread.
    depth
        Most items that are made and not yet used.

    Yields
    ------
    T
        The same items, in the same order.
    """
    buffer: _Buffer[T] = _Buffer(depth)
    thread = threading.Thread(target=buffer.fill, args=(items,), name="prefetch", daemon=True)
    thread.start()
    try:
        yield from buffer.items()
    finally:
        buffer.leave()
        thread.join(_SECONDS_TO_END)
