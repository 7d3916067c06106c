"""How a Python worker of Spark gets its memory from the operating system."""

from __future__ import annotations

import ctypes
import functools

# glibc's numbers for mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# Larger than the largest activation of the usual models, and the most that every glibc takes.
_LARGEST_FROM_HEAP = 32 * 2**20
_KEPT_FREE = 512 * 2**20


@functools.cache
def keep_freed_memory() -> bool:
    """Let this process reuse freed memory instead of giving it back at once.

    A model allocates and frees the same arrays in every forward pass. glibc by default asks the
    system for each anew, which must fill every page with zeros: a third of the time of
    EfficientNet-Lite0 on a CPU, and 5 to 20 % of MiniLM's. At most 512 MiB stay with the process.
    To be called in a worker's process only, which is ours: a library must not change how its host
    allocates. Nothing happens without glibc (macOS, Alpine).

    Returns
    -------
    bool
        Whether the process reuses freed memory now.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_FROM_HEAP) and mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)
    )
